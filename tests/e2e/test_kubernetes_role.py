"""The ClusterRole that k8s/ ships suffices for the main job, on a real API server."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from sandbox.everything import Everything
from sandbox.kube import Kube, kube
from sandbox.world import World, world

pytestmark = [pytest.mark.e2e, pytest.mark.rabbit, pytest.mark.cluster, pytest.mark.timeout(240)]

RBAC = Path(__file__).parents[2] / "k8s/base/rbac.yaml"
ROLES = "apis/rbac.authorization.k8s.io/v1"


async def _grant(api: Kube, namespace: str) -> str:
    """Make the account, its roles and their bindings in *namespace*; return a token of it."""
    accounts = f"api/v1/namespaces/{namespace}/serviceaccounts"
    inside = f"{ROLES}/namespaces/{namespace}"
    places = {
        "ServiceAccount": accounts,
        "ClusterRole": f"{ROLES}/clusterroles",
        "ClusterRoleBinding": f"{ROLES}/clusterrolebindings",
        "Role": f"{inside}/roles",
        "RoleBinding": f"{inside}/rolebindings",
    }
    await _create(api, "api/v1/namespaces", {"metadata": {"name": namespace}})
    for one in yaml.safe_load_all(RBAC.read_text()):
        if one["kind"].endswith("Binding"):
            one["subjects"][0]["namespace"] = namespace
        await _create(api, places[one["kind"]], one)
    _, answer = await api.call("POST", f"{accounts}/cluster-applier/token", {"spec": {}})
    return str(answer["status"]["token"])


async def _create(api: Kube, path: str, body: Any) -> None:
    status, answer = await api.call("POST", path, body)
    assert status == 201, answer


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


async def test_without_leases_all_is_applied_and_the_verbs_that_are_missing_are_told(
    place: Everything, tmp_path: Path
) -> None:
    name = f"role-{uuid4().hex[:6]}"
    async with kube(place.cluster.kubeconfig) as api:
        target = _target(place, tmp_path, name, await _grant(api, f"{name}-flux"))
        try:
            async with world(place, tmp_path, name, targets=[target]) as found:
                roles = f"{ROLES}/namespaces/{name}-flux/rolebindings"
                await api.call("DELETE", f"{roles}/flux-cluster-applier")
                async with asyncio.timeout(60):
                    while "allow the verbs get, create and update of leases" not in _said(found):
                        await asyncio.sleep(0.1)
                await found.push("Add web", {"web.yaml": found.deployment("web")})
                await found.kube.wait("Deployment", "web", bool, namespace=name)
        finally:
            await _revoke(api)


def _said(found: World) -> str:
    return found.flux.log("cluster-applier").read_text()


def _target(place: Everything, directory: Path, name: str, token: str) -> dict[str, str]:
    """Return the target as who has nothing but *token* sees it."""
    config = yaml.safe_load(place.cluster.kubeconfig.read_text())
    for user in config["users"]:
        user["user"] = {"token": token}
    kubeconfig = directory / "kubeconfig"
    kubeconfig.write_text(json.dumps(config))
    return {"name": "default", "kubeconfig": str(kubeconfig), "namespace": f"{name}-flux"}


async def _main_job(place: Everything, directory: Path, name: str, token: str) -> None:
    target = _target(place, directory, name, token)
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
