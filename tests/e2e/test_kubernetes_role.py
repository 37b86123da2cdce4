"""The ClusterRole that k8s/ ships suffices for the main job, on a real API server."""

import json
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from sandbox.everything import Everything
from sandbox.kube import Kube, kube
from sandbox.world import world

pytestmark = [pytest.mark.e2e, pytest.mark.rabbit, pytest.mark.cluster, pytest.mark.timeout(240)]

RBAC = Path(__file__).parents[2] / "k8s/base/rbac.yaml"
ROLES = "apis/rbac.authorization.k8s.io/v1"


async def _grant(api: Kube, namespace: str) -> str:
    """Make the account, its role and its binding in *namespace*; return a token of it."""
    account, role, binding = yaml.safe_load_all(RBAC.read_text())
    binding["subjects"][0]["namespace"] = namespace
    accounts = f"api/v1/namespaces/{namespace}/serviceaccounts"
    for path, body in (
        ("api/v1/namespaces", {"metadata": {"name": namespace}}),
        (accounts, account),
        (f"{ROLES}/clusterroles", role),
        (f"{ROLES}/clusterrolebindings", binding),
    ):
        status, answer = await api.call("POST", path, body)
        assert status == 201, answer
    _, answer = await api.call("POST", f"{accounts}/cluster-applier/token", {"spec": {}})
    return answer["status"]["token"]


async def _revoke(api: Kube) -> None:
    for kind in ("clusterroles", "clusterrolebindings"):
        await api.call("DELETE", f"{ROLES}/{kind}/flux-cluster-applier")


async def test_the_role_of_the_applier_suffices_for_the_main_job(
    place: Everything, tmp_path: Path
) -> None:
    name = f"role-{uuid4().hex[:6]}"
    async with kube(place.cluster.kubeconfig) as api:
        token = await _grant(api, f"{name}-flux")
        try:
            await _main_job(place, tmp_path, name, token)
        finally:
            await _revoke(api)


async def _main_job(place: Everything, directory: Path, name: str, token: str) -> None:
    config = yaml.safe_load(place.cluster.kubeconfig.read_text())
    for user in config["users"]:
        user["user"] = {"token": token}
    kubeconfig = directory / "kubeconfig"
    kubeconfig.write_text(json.dumps(config))
    target = {"name": "default", "kubeconfig": str(kubeconfig), "namespace": f"{name}-flux"}

    async with world(place, directory, name, targets=[target]) as found:
        await found.push_image("web", "1.0.0", "1.1.0")
        await found.push("Add web", {"web.yaml": found.deployment("web")})
        await found.wait_image("web", "1.1.0")

        await found.kube.merge("Deployment", "web", {"spec": {"replicas": 5}}, name)
        await found.kube.wait(
            "Deployment", "web", lambda it: it["spec"]["replicas"] == 1, namespace=name
        )
        await found.push("Drop web", {}, remove=["web.yaml"])
        await found.kube.wait("Deployment", "web", lambda it: it is None, namespace=name)
        await found.flux.wait_ready("cluster-applier")
