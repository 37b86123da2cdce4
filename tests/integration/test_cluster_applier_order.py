"""What git says of order and of being left alone: on the real control plane."""

import json
from typing import Any

import pytest

from tests.integration.applier_stage import DEFINITIONS, Stage, config_map

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]

RBAC = "rbac.authorization.k8s.io"
STAGES = """---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: NAME}
webhooks: []
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: rest, namespace: NAME-in}
spec: {defaultBackend: {service: {name: x, port: {number: 80}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: workload, namespace: NAME-in}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "registry.example.com/web:1"}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: config, namespace: NAME-in}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: NAME}
value: 1
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.NAME.example.com}
spec:
  group: NAME.example.com
  scope: Namespaced
  names: {plural: things, kind: Thing}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object}}
---
apiVersion: v1
kind: Namespace
metadata: {name: NAME-in}
"""


async def test_stages_come_one_after_another_whatever_the_order_in_git(stage: Stage) -> None:
    name = stage.namespace
    paths = [
        f"api/v1/namespaces/{name}-in",
        f"{DEFINITIONS}/things.{name}.example.com",
        f"apis/scheduling.k8s.io/v1/priorityclasses/{name}",
        f"api/v1/namespaces/{name}-in/configmaps/config",
        f"apis/apps/v1/namespaces/{name}-in/deployments/workload",
        f"apis/networking.k8s.io/v1/namespaces/{name}-in/ingresses/rest",
        f"apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{name}",
    ]
    async with stage.applying():
        await stage.declare(STAGES.replace("NAME", name))
        done = await stage.completed()
        assert done.counts == {"created": 7}
        # An object is told as soon as it is applied.
        kinds = [one.id.partition(" ")[0].rpartition("/")[2] for one in done.objects]
    assert kinds == [
        "Namespace",
        "CustomResourceDefinition",
        "PriorityClass",
        "ConfigMap",
        "Deployment",
        "Ingress",
        "ValidatingWebhookConfiguration",
    ]
    assert [(await stage.kube.call("GET", path))[0] for path in paths] == [200] * 7


def annotated(name: str, ignore: str, **data: str) -> str:
    annotations = f"{{name: {name}, annotations: {{fluxcd.io/ignore: {ignore}}}}}"
    return config_map(name, **data).replace(f"{{name: {name}}}", annotations)


async def test_what_git_ignores_stays_as_it_is_and_what_is_sync_only_is_applied_and_stays(
    stage: Stage,
) -> None:
    kept = "".join(config_map(name, k="1") for name in "pqr")
    async with stage.applying():
        await stage.declare(kept + config_map("a", k="1") + annotated("s", "sync_only", k="1"))
        assert (await stage.completed()).counts == {"created": 5}
        ignored = annotated("a", "'true'", k="2") + annotated("never", "'true'", k="1")
        await stage.declare(kept + ignored + annotated("s", "sync_only", k="2"))
        assert (await stage.completed()).counts == {"configured": 1, "unchanged": 3}
        assert await stage.data("a") == {"k": "1"}
        assert await stage.data("s") == {"k": "2"}
        assert await stage.data("never") is None
        await stage.declare(kept + ignored)
        done = await stage.completed()
        assert done.counts == {"skipped": 1, "unchanged": 3}
        assert "annotated in the cluster to be kept" in done.objects[0].message
        assert await stage.data("s") == {"k": "2"}


OWN = {"KEPT": "1", "LEAVES": "1"}


def workload_of(**variables: str) -> dict[str, Any]:
    env = [{"name": name, "value": value} for name, value in variables.items()]
    first = {"name": "web", "image": "registry.example.com/web:1", "env": env}
    # With defaults that git does not declare, and who made it owns.
    second = {"name": "side", "image": "x", "ports": [{"containerPort": 80}]}
    leaves = "LEAVES" in variables
    containers = [first, second] if leaves else [first]
    pod = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": containers}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": pod}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "workload", "labels": {"declared": "x"} if leaves else {}},
        "spec": spec,
    }


async def made_by(stage: Stage, who: str) -> str:
    """Let somebody make a workload, with a label of his own; return its path."""
    manager, _, applies = who.partition(" ")
    path = f"apis/apps/v1/namespaces/{stage.namespace}/deployments"
    value, workload = workload_of(**OWN), f"{path}/workload"
    value["metadata"]["labels"]["old"] = "x"
    if applies:
        patch = "application/apply-patch+yaml"
        await stage.kube.call("PATCH", workload, value, patch, fieldManager=manager)
    else:
        await stage.kube.call("POST", path, value, fieldManager=manager)
    if manager == "before-first-apply":  # as of an object that is older than managedFields
        forget = [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]
        await stage.kube.call("PATCH", workload, forget, "application/json-patch+json")
    return workload


KUBECTLS = ("kubectl-client-side-apply", "kubectl", "kubectl applies")
OTHERS = ("kubectl-create", "helm", "kustomize-controller applies", "before-first-apply")


@pytest.mark.parametrize("who", [*KUBECTLS, *OTHERS])
async def test_what_others_made_is_taken_over_without_a_restart_and_goes_with_git(
    stage: Stage, who: str
) -> None:
    path = await made_by(stage, who)
    _, before = await stage.kube.call("GET", path)
    async with stage.applying():
        await stage.declare(f"{json.dumps(workload_of(**OWN))}\n" + config_map("a", k="1"))
        assert (await stage.completed()).counts == {"configured": 1, "created": 1}
        _, after = await stage.kube.call("GET", path)
        # Of kubectl's all is ours; of others' what git declares.
        assert ("old" in after["metadata"]["labels"]) == (who in OTHERS)
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert after["spec"] == before["spec"]
        base = path.removesuffix("deployments/workload")
        _, sets = await stage.kube.call("GET", f"{base}replicasets")
        assert len(sets["items"]) <= 1, "no pod was started anew"

        await stage.declare(f"{json.dumps(workload_of(KEPT='1'))}\n" + config_map("a", k="1"))
        await stage.completed()
        _, after = await stage.kube.call("GET", path)
    (container,) = after["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "KEPT", "value": "1"}]
    assert "declared" not in after["metadata"]["labels"]
