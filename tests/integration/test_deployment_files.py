"""The container files start what there is, and a real API server takes them."""

import asyncio
import importlib.util
import json
import os
import re
import shutil
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from sandbox import process, sops_build
from sandbox.cluster import cluster
from sandbox.kube import Kube, kube
from sandbox.progress import silent
from shared.config.broker import ServiceUrls
from shared.config.load import load

ROOT = Path(__file__).parents[2]
SERVICES = ("git-watcher", "registry-scanner", "repo-writer", "cluster-applier", "gateway")
GENERATING = "k8s/overlays/renderer"
KUSTOMIZATIONS = ("k8s/base", "k8s/overlays/example", GENERATING)


def compose() -> dict:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def test_compose_starts_every_service_by_a_module_that_exists() -> None:
    found = compose()
    for name in (*SERVICES, "topology"):
        module = found[name]["command"][0]
        assert importlib.util.find_spec(module) is not None, module
        assert found[name]["image"] == "flux:local"
    for name in SERVICES:
        assert set(found[name]["depends_on"]) == {"rabbitmq", "topology"}


def test_people_are_told_to_build_the_sops_that_we_test_with() -> None:
    told = ("docker-compose.yml", "k8s/README.md", "docs/applying.md")
    for name in told:
        versions = set(re.findall(r"SOPS=(v\d[\w.]*)", (ROOT / name).read_text()))
        assert versions == {sops_build.SOPS}, name


def test_compose_checks_each_service_where_it_tells_its_health() -> None:
    health = load(ROOT / "examples/flux.yaml").health
    found = compose()
    for name in SERVICES:
        port = getattr(health, name.replace("-", "_"))
        check = ["CMD", "python", "-m", "shared.runtime.ready", str(port)]
        assert found[name]["healthcheck"]["test"] == check


def test_compose_shows_each_service_its_own_secrets_only() -> None:
    found = {
        name: {v for v in one.get("volumes", ()) if isinstance(v, str) and "/run/secrets" in v}
        for name, one in compose().items()
    }

    def folder(name: str) -> set[str]:
        return {f"${{FLUX_SECRETS:-./secrets}}/{name}:/run/secrets/{name}:ro"}

    assert found == {
        "rabbitmq": set(),
        "topology": set(),
        "git-watcher": folder("git"),
        "registry-scanner": folder("registry"),
        "repo-writer": folder("git"),
        "cluster-applier": folder("cluster"),
        "gateway": folder("gateway"),
    }


def variable(service: str) -> str:
    return service.replace("-", "_").upper()


def url_variable(service: str) -> str:
    """Return the variable in which a service finds its address, by the configuration."""
    return ServiceUrls().of(service).env or ""


def test_compose_gives_each_service_its_own_broker_user_only() -> None:
    for name in SERVICES:
        ((key, url),) = compose()[name]["environment"].items()
        assert key == url_variable(name)
        assert url.startswith(f"amqp://{name}:${{{variable(name)}_PASSWORD:?")


def test_compose_gives_the_renderer_nothing_but_its_token_and_no_way_out() -> None:
    found = yaml.safe_load((ROOT / "docker-compose.renderer.yml").read_text())
    one = found["services"]["renderer"]
    assert [*one["environment"]] == ["RENDERER_TOKEN"]
    assert one["networks"] == ["renderer"]
    assert found["networks"]["renderer"] == {"internal": True}
    assert one["read_only"]
    assert [each["target"] for each in one["volumes"]] == ["/etc/flux/flux.yaml"]
    asking = {name: each["networks"] for name, each in found["services"].items()}
    both = ["default", "renderer"]
    assert asking == {"renderer": ["renderer"], "git-watcher": both, "repo-writer": both}


def test_a_recreated_broker_finds_its_data_by_the_same_host_name() -> None:
    assert compose()["rabbitmq"]["hostname"] == "rabbitmq"


def test_the_image_holds_what_each_service_needs_and_no_tools() -> None:
    extras = re.findall(r"--extra (\S+)", (ROOT / "Dockerfile").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert sorted(extras) == sorted({*project["optional-dependencies"]} - {"sandbox", "dev"})


def test_compose_publishes_on_loopback_only() -> None:
    ports = [port for one in compose().values() for port in one.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("more", [(), ("renderer",)])
async def test_docker_itself_reads_the_compose_files(more: tuple[str, ...]) -> None:
    if not await _has_compose():  # where there is no Docker, the structure above is what we know
        return
    users = [f"{variable(name)}_PASSWORD" for name in ("rabbitmq", *SERVICES)]
    environment = {**os.environ, **dict.fromkeys(users, "x"), "RENDERER_TOKEN": "x"}
    files = ["docker-compose.yml", *(f"docker-compose.{name}.yml" for name in more)]
    named = [word for file in files for word in ("--file", ROOT / file)]
    text = await process.run(
        ["docker", "compose", *named, "config", "--format", "json"], env=environment
    )
    found = json.loads(text)["services"]
    assert set(found) == {"rabbitmq", "topology", *SERVICES, *more}
    assert set(found["topology"]["environment"]) == {"AMQP_URL", *map(url_variable, SERVICES)}
    token = {"RENDERER_TOKEN"} if more else set()
    assert set(found["git-watcher"]["environment"]) == {url_variable("git-watcher"), *token}


async def _has_compose() -> bool:
    if shutil.which("docker") is None:
        return False
    try:
        await process.run(["docker", "compose", "version"])
    except Exception:  # noqa: BLE001 - whatever it says, there is none
        return False
    return True


@pytest.mark.parametrize("file", ["examples", *KUSTOMIZATIONS])
def test_the_configurations_that_are_shipped_can_be_loaded(file: str) -> None:
    config = load(ROOT / file / "flux.yaml")
    assert config.syncs[0].name == "apps"


@pytest.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kube]:
    directory = tmp_path_factory.mktemp("cluster")
    async with (
        cluster(directory, "real", say=silent) as real,
        kube(real.kubeconfig) as found,
    ):
        namespace = yaml.safe_load((ROOT / "k8s/base/namespace.yaml").read_text())
        assert (await found.call("POST", "api/v1/namespaces", namespace))[0] == 201
        yield found


async def kustomized(directory: str) -> list[dict]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is needed to render k8s/; see the Kubernetes site for a package")
    text = await process.run(["kubectl", "kustomize", ROOT / directory])
    return [one for one in yaml.safe_load_all(text) if one]


PLURALS = {
    "Namespace": "api/v1/namespaces",
    "ConfigMap": "api/v1/namespaces/{}/configmaps",
    "Service": "api/v1/namespaces/{}/services",
    "NetworkPolicy": "apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "ServiceAccount": "api/v1/namespaces/{}/serviceaccounts",
    "Deployment": "apis/apps/v1/namespaces/{}/deployments",
    "StatefulSet": "apis/apps/v1/namespaces/{}/statefulsets",
    "Job": "apis/batch/v1/namespaces/{}/jobs",
    "ClusterRole": "apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "Role": "apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
}


@pytest.mark.cluster
@pytest.mark.parametrize("directory", KUSTOMIZATIONS)
async def test_a_real_api_server_takes_every_object(directory: str, api: Kube) -> None:
    found = await kustomized(directory)
    extra = {"renderer"} if directory == GENERATING else set()
    names = {one["metadata"]["name"] for one in found if one["kind"] == "Deployment"}
    assert names == {*SERVICES, *extra}
    for one in found:
        metadata = one["metadata"]
        place = PLURALS[one["kind"]].format(metadata.get("namespace"))
        status, answer = await api.call(
            "PATCH",
            f"{place}/{metadata['name']}",
            one,
            "application/apply-patch+yaml",
            fieldManager="test",
            dryRun="All",
            fieldValidation="Strict",
        )
        assert status in {200, 201}, answer


@pytest.mark.cluster
async def test_every_pod_meets_the_restricted_standard_of_its_namespace(api: Kube) -> None:
    account = {"metadata": {"name": "cluster-applier"}}
    await api.call("POST", "api/v1/namespaces/flux-system/serviceaccounts", account)
    await _wait_default_account(api)
    for name, template in (await _templates(GENERATING)).items():
        data = [{"name": "data", "emptyDir": {}}] if name == "rabbitmq" else []  # else a claim
        spec = {**template["spec"], "volumes": [*template["spec"].get("volumes", ()), *data]}
        pod = {"metadata": {"name": name}, "spec": spec}
        path = "api/v1/namespaces/flux-system/pods"
        status, answer = await api.call("POST", path, pod, dryRun="All")
        assert status == 201, answer


async def _wait_default_account(api: Kube) -> None:
    path = "api/v1/namespaces/flux-system/serviceaccounts/default"
    async with asyncio.timeout(30):
        while (await api.call("GET", path))[0] != 200:
            await asyncio.sleep(0.1)


async def _templates(directory: str = "k8s/base") -> dict[str, dict]:
    return {
        one["metadata"]["name"]: one["spec"]["template"]
        for one in await kustomized(directory)
        if one["kind"] in {"Deployment", "StatefulSet", "Job"}
    }


async def test_only_the_applier_gets_a_token_and_only_the_gateway_the_label() -> None:
    pods = await _templates()
    tokens = {name for name, pod in pods.items() if pod["spec"]["automountServiceAccountToken"]}
    labelled = {n for n, pod in pods.items() if pod["metadata"]["labels"].get("app") == "flux"}

    assert tokens == {"cluster-applier"}
    assert labelled == {"gateway"}


async def test_each_pod_mounts_its_own_secret_only() -> None:
    mounted = {}
    for name, template in (await _templates()).items():
        volumes = template["spec"].get("volumes", ())
        mounted[name] = [v["secret"]["secretName"] for v in volumes if "secret" in v]

    assert mounted == {
        "rabbitmq": [],
        "topology": [],
        "git-watcher": ["flux-git"],
        "registry-scanner": ["flux-registry"],
        "repo-writer": ["flux-git"],
        "cluster-applier": ["flux-cluster"],
        "gateway": ["flux-gateway"],
    }


async def test_each_pod_gets_its_own_broker_user_only() -> None:
    urls = {
        name: {
            one["name"]: one["valueFrom"]["secretKeyRef"]["name"]
            for one in template["spec"]["containers"][0].get("env", ())
            if "valueFrom" in one
        }
        for name, template in (await _templates()).items()
    }
    own = {name: {url_variable(name): f"flux-amqp-{name}"} for name in SERVICES}
    every = {key: secret for one in own.values() for key, secret in one.items()}

    assert urls == {"rabbitmq": {}, "topology": {"AMQP_URL": "flux-amqp", **every}, **own}


async def test_the_renderers_pod_has_no_token_no_secret_and_no_way_out() -> None:
    pods = await _templates(GENERATING)
    spec = pods["renderer"]["spec"]
    assert not spec["automountServiceAccountToken"]
    assert [one["name"] for one in spec["volumes"]] == ["config", "tmp"]
    assert spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"]
    knows = {
        name: {one["name"] for one in pod["spec"]["containers"][0].get("env", ())}
        for name, pod in pods.items()
    }
    assert knows["renderer"] == {"RENDERER_TOKEN"}
    assert {n for n, some in knows.items() if "RENDERER_TOKEN" in some} == {
        *("renderer", "git-watcher", "repo-writer")
    }
    policies = [one for one in await kustomized(GENERATING) if one["kind"] == "NetworkPolicy"]
    (policy,) = (one["spec"] for one in policies)
    assert policy["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "renderer"}
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert not policy.get("egress")
