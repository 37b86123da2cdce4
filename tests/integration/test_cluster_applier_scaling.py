"""Who else scales a workload, and who insists: on the real control plane."""

import asyncio
from typing import Any

import pytest

from shared.contract import DriftContested, DriftCorrected
from tests.integration.applier_stage import Stage, applies, config_map

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]


def deployment(image: str = "1", *, replicas: int | None = None, app: str = "web") -> str:
    spec = f"  replicas: {replicas}\n" if replicas is not None else ""
    return f"""---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: a}}
spec:
{spec}  selector: {{matchLabels: {{app: {app}}}}}
  template:
    metadata: {{labels: {{app: {app}}}}}
    spec: {{containers: [{{name: web, image: "registry.example.com/web:{image}"}}]}}
"""


async def web(stage: Stage) -> Any:
    return await stage.kube.get("Deployment", "a", stage.namespace)


async def wait_web(stage: Stage, fits: Any) -> Any:
    return await stage.kube.wait("Deployment", "a", fits, namespace=stage.namespace, timeout=20)


AUTOSCALER = """---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: scaler}
spec:
  minReplicas: 5
  maxReplicas: 9
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: a}
"""


async def test_what_an_autoscaler_scales_keeps_its_replicas(stage: Stage) -> None:
    async with stage.applying():
        await stage.declare(deployment(replicas=2) + AUTOSCALER)
        await stage.completed()
        # The autoscaler lifts it to its minimum; git, which says 2, lets it.
        await wait_web(stage, lambda one: one["spec"]["replicas"] == 5)
        await stage.declare(deployment(image="2", replicas=2) + AUTOSCALER)
        await stage.completed()
        found = await web(stage)
        assert found["spec"]["replicas"] == 5
        assert found["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":2")
        assert not [one for one in stage.told if isinstance(one, DriftCorrected)]
        await stage.declare(deployment(image="2", replicas=2))
        await wait_web(stage, lambda one: one["spec"]["replicas"] == 2)


async def test_what_is_no_workload_spoils_only_itself_also_where_it_is_scaled(stage: Stage) -> None:
    bad = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: replicas\n"
    async with stage.applying():
        await stage.declare(AUTOSCALER)
        await stage.completed()
        await stage.declare(AUTOSCALER + bad + config_map("b", k="1"))
        done = await stage.completed()
        assert done.counts == {"created": 1, "unchanged": 1, "failed": 1}
        assert ".spec: expected map" in done.problems[0].message


async def test_what_keda_scales_keeps_its_replicas(stage: Stage) -> None:
    base = await stage.define("keda.sh", "ScaledObject")
    value = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "keda"},
        "spec": {"scaleTargetRef": {"name": "a"}},
    }
    assert (await stage.kube.call("POST", base, value))[0] == 201
    async with stage.applying():
        await stage.declare(config_map("a", k="1"))
        await stage.completed()
        await stage.declare(deployment(replicas=2))
        await stage.completed()
        path = f"apis/apps/v1/namespaces/{stage.namespace}/deployments/a/scale"
        kind = "application/merge-patch+json"
        await stage.kube.call("PATCH", path, {"spec": {"replicas": 7}}, kind, fieldManager="keda")
        await stage.declare(deployment(image="2", replicas=2))
        await stage.completed()

    found = await web(stage)
    assert found["spec"]["replicas"] == 7
    assert found["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":2")


def image(value: Any) -> str:
    return str(value["spec"]["template"]["spec"]["containers"][0]["image"])


CONTAINER = {"name": "web", "image": "registry.example.com/web:theirs"}
IMAGE_OF_OTHERS = {"spec": {"template": {"spec": {"containers": [CONTAINER]}}}}


async def test_who_insists_is_told_with_each_field_and_left_alone(stage: Stage) -> None:
    async with stage.applying():
        await stage.declare(deployment(replicas=0))
        await stage.completed()
        for replicas in (1, 2, 3):
            before = applies()
            change = {"spec": {"replicas": replicas}}
            await stage.kube.merge("Deployment", "a", change, stage.namespace)
            await wait_web(stage, lambda one: one["spec"]["replicas"] == 0)
            assert applies() > before
        contested = await stage.wait(DriftContested)
        await stage.kube.merge("Deployment", "a", {"spec": {"replicas": 6}}, stage.namespace)
        await asyncio.sleep(0.5)
        assert (await web(stage))["spec"]["replicas"] == 6
        # What others do to it is put back all the same, and that field is left as it is.
        await stage.kube.merge("Deployment", "a", IMAGE_OF_OTHERS, stage.namespace)
        await wait_web(stage, lambda one: image(one).endswith(":1"))
        assert (await web(stage))["spec"]["replicas"] == 6
        await stage.kube.delete("Deployment", "a", stage.namespace)
        await wait_web(stage, lambda one: one is not None and one["spec"]["replicas"] == 0)
        await stage.kube.merge("Deployment", "a", {"spec": {"replicas": 7}}, stage.namespace)
        await asyncio.sleep(0.5)
        assert (await web(stage))["spec"]["replicas"] == 7
        assert not [one for one in stage.told if isinstance(one, DriftContested)]
        await stage.declare(deployment(replicas=0) + config_map("b", k="1"))  # a new revision
        await wait_web(stage, lambda one: one["spec"]["replicas"] == 0)

    (field,) = contested.fields
    assert (field.field, field.manager) == (".spec.replicas", "kubectl-edit")
    assert contested.times == 3
