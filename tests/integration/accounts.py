"""Service accounts that may do so much and no more, for tests of rights."""

import json
from pathlib import Path
from typing import Any

import yaml

from shared.contract import DependencyDown, SyncCompleted, SyncFailed
from tests.integration.applier_stage import Stage

RBAC = "apis/rbac.authorization.k8s.io/v1"
WORKLOAD = """---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "registry.example.com/web:1"}]}
"""


async def post(stage: Stage, path: str, body: Any) -> Any:
    status, answer = await stage.kube.call("POST", path, body)
    assert status == 201, answer
    return answer


async def grant(stage: Stage, name: str, rules: list[Any], *, everywhere: bool = False) -> None:
    """Make a service account that may do what *rules* say."""
    await account(stage, name)
    await allow(stage, name, rules, namespace="" if everywhere else stage.namespace)


async def account(stage: Stage, name: str) -> None:
    """Make a service account."""
    path = f"api/v1/namespaces/{stage.namespace}/serviceaccounts"
    await post(stage, path, {"metadata": {"name": name}})


async def allow(stage: Stage, name: str, rules: list[Any], *, namespace: str = "") -> None:
    """Let an account do what *rules* say, in one namespace or everywhere."""
    kind = "Role" if namespace else "ClusterRole"
    base = f"{RBAC}/namespaces/{namespace}/" if namespace else f"{RBAC}/cluster"
    called = f"{stage.namespace}-{name}"
    await post(stage, f"{base}roles", {"metadata": {"name": called}, "rules": rules})
    binding = {
        "metadata": {"name": called},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": called},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": stage.namespace}],
    }
    await post(stage, f"{base}rolebindings", binding)


async def token_config(stage: Stage, name: str, directory: Path) -> Path:
    """Return a kubeconfig of a service account."""
    path = f"api/v1/namespaces/{stage.namespace}/serviceaccounts/{name}/token"
    answer = await post(stage, path, {"spec": {}})
    config = yaml.safe_load(stage.cluster.kubeconfig.read_text())
    for user in config["users"]:
        user["user"] = {"token": answer["status"]["token"]}
    found = directory / "kubeconfig"
    found.write_text(json.dumps(config))
    return found


def said_by(message: Any) -> str:
    match message:
        case SyncFailed():
            return message.reason
        case SyncCompleted():
            return " ".join(one.message for one in (*message.problems, *message.objects))
        case DependencyDown():
            return message.reason
        case _:
            return ""
