"""What a manifest may bring along from where it was exported: on the real control plane."""

import asyncio
import json

import pytest

from shared.contract import SyncCompleted
from tests.integration.applier_stage import Stage, applies, config_map, definition_of

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]


EXPORTED = """---
apiVersion: v1
kind: ConfigMap
metadata:
  name: exported
  uid: 11111111-2222-3333-4444-555555555555
  resourceVersion: "12345"
  creationTimestamp: "2020-01-01T00:00:00Z"
  generation: 7
  selfLink: /api/v1/namespaces/x/configmaps/exported
  managedFields:
    - {manager: kubectl, operation: Update, apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {}}
data: {k: "1"}
"""
EXPORTED_WORKLOAD = """---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, resourceVersion: "12345"}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {creationTimestamp: null, labels: {app: web}}
    spec: {containers: [{name: web, image: "registry.example.com/web:1"}]}
status: {availableReplicas: 3, observedGeneration: 9}
"""


async def test_what_an_exported_manifest_carries_of_its_cluster_is_left_out(stage: Stage) -> None:
    async with stage.applying():
        await stage.declare(EXPORTED + EXPORTED_WORKLOAD)
        assert (await stage.completed()).counts == {"created": 2}
        await stage.declare(EXPORTED.replace('k: "1"', 'k: "2"') + EXPORTED_WORKLOAD)
        assert (await stage.completed()).counts == {"configured": 1, "unchanged": 1}

    found = await stage.kube.get("Deployment", "web", stage.namespace)
    assert found is not None
    assert found["status"].get("availableReplicas", 0) == 0


async def test_a_key_that_leaves_string_data_leaves_the_secret_and_an_edit_is_undone(
    stage: Stage,
) -> None:
    def secret(**data: str) -> str:
        lines = "".join(f"  {key}: {value}\n" for key, value in data.items())
        return f"---\napiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData:\n{lines}"

    async def data() -> object:
        found = await stage.kube.get("Secret", "s", stage.namespace)
        return found and found["data"]

    async with stage.applying():
        await stage.declare(secret(a="one", b="two"))
        await stage.completed()
        await stage.declare(secret(a="one"))
        await stage.completed()
        assert await data() == {"a": "b25l"}
        await stage.kube.merge("Secret", "s", {"data": {"a": "eA=="}}, stage.namespace)
        async with asyncio.timeout(30):
            while await data() != {"a": "b25l"}:
                await asyncio.sleep(0.01)


async def test_a_kind_that_somebody_defines_later_works_soon_after(stage: Stage) -> None:
    group = f"{stage.namespace}.example.com"
    gear = f"---\napiVersion: {group}/v1alpha1\nkind: Gear\nmetadata: {{name: g}}\nsize: 3\n"
    async with stage.applying():
        await stage.declare(gear + config_map("a", k="1"))
        done = await stage.completed()
        assert done.counts == {"created": 1, "failed": 1}
        assert f"the cluster serves no {group}/v1alpha1 Gear" in done.problems[0].message
        await stage.define(group, "Gear")
        # It was told once; what is told next is that it works.
        assert (await stage.completed()).counts == {"created": 1, "unchanged": 1}


async def test_what_is_one_object_with_and_without_its_namespace_is_applied_once_and_told(
    stage: Stage,
) -> None:
    """Whether a custom resource has a namespace only the cluster can tell."""
    group = f"{stage.namespace}.example.com"
    gear = f"---\napiVersion: {group}/v1alpha1\nkind: Gear\nmetadata: {{name: g}}\nsize: 3\n"
    named = gear.replace("{name: g}", f"{{name: g, namespace: {stage.namespace}}}")
    again = {"b.yaml": named.replace("size: 3", "size: 4")}
    definition = f"{json.dumps(definition_of(group, 'Gear'))}\n"
    async with stage.applying():
        await stage.declare(definition + gear, files=again)
        done = await stage.completed()
        assert done.counts == {"created": 2, "failed": 1}
        (problem,) = done.problems
        assert (problem.file, problem.line) == ("b.yaml", 2)
        assert "is declared already in a.yaml:3; remove one of them" in problem.message
        path = f"apis/{group}/v1alpha1/namespaces/{stage.namespace}/gears/g"
        _, before = await stage.kube.call("GET", path)
        assert before["size"] == 3
        await stage.declare(definition + gear + config_map("a", k="1"), files=again)
        assert (await stage.completed()).counts == {"created": 1, "failed": 1, "unchanged": 2}
        assert (await stage.kube.call("GET", path))[1] == before
        await stage.declare(definition + gear)
        assert (await stage.completed()).counts == {"deleted": 1, "unchanged": 2}


async def test_what_has_no_namespace_yet_is_told_once_and_works_soon_after_there_is_one(
    stage: Stage,
) -> None:
    """Which may be made by another sync, in the same moment."""
    name = f"{stage.namespace}-later"
    namespace = f"---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n"
    inside = "".join(
        config_map(f"m{n}", k="1").replace("{name: ", f"{{namespace: {name}, name: ")
        for n in range(40)
    )
    async with stage.applying():
        await stage.declare(inside + config_map("a", k="1"))
        done = await stage.completed()
        assert done.counts == {"created": 1, "failed": 40}
        assert f'namespaces "{name}" not found' in done.problems[0].message
        before = applies()
        await asyncio.sleep(3.0)  # it is tried again after two seconds
        assert 1 <= applies() - before <= 16
        assert not [one for one in stage.told if isinstance(one, SyncCompleted)]
        await stage.declare(namespace, sync="other")
        await stage.wait(SyncCompleted, lambda one: one.sync == "other")
        done = await stage.wait(SyncCompleted, lambda one: one.sync == "apps")
        assert done.counts == {"created": 40, "unchanged": 1}
