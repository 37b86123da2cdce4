"""cluster-applier on a cluster, real and emulated alike; the bus is the one in memory."""

import asyncio
from typing import Any

import pytest

from services.cluster_applier import inventory_store
from shared.bus.port import Outcome
from shared.contract import (
    Draft,
    DriftContested,
    DriftCorrected,
    Message,
    PollRequested,
    SyncRequested,
    WorkloadChanged,
)
from shared.manifests.marks import MARK
from tests.integration.applier_stage import ON_BOTH, Stage, applies, config_map

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240), ON_BOTH]


async def test_only_what_changed_is_applied_and_what_left_is_pruned(stage: Stage) -> None:
    async with stage.applying():
        await stage.declare(config_map("a", k="1") + config_map("b", k="1"))
        assert (await stage.completed()).counts == {"created": 2}
        before = applies()
        await stage.declare(config_map("a", k="2") + config_map("b", k="1"))
        done = await stage.completed()
        assert done.counts == {"configured": 1, "unchanged": 1}
        assert applies() - before == 1
        # The object, the inventory, and perhaps the question whether that is still ours.
        assert done.requests <= 3
        await stage.declare(config_map("a", k="2"))
        assert (await stage.completed()).counts == {"deleted": 1, "unchanged": 1}

    assert await stage.data("a") == {"k": "2"}
    assert await stage.data("b") is None


async def test_a_refused_object_spoils_only_itself_and_suspends_pruning(stage: Stage) -> None:
    bad = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad, namespace: nowhere}\n"
    async with stage.applying():
        await stage.declare(config_map("a", k="1") + config_map("gone", k="1"))
        await stage.completed()
        await stage.declare(bad + config_map("a", k="2"))
        done = await stage.completed()

        assert done.counts == {"failed": 1, "configured": 1}
        assert (done.pruned, done.prune_reason) == (False, "not everything could be applied")
        (problem,) = done.problems
        assert (problem.file, problem.line) == ("a.yaml", 2)
        assert "nowhere" in problem.message
        assert await stage.data("gone") == {"k": "1"}


async def test_a_custom_resource_works_in_the_push_of_its_definition(stage: Stage) -> None:
    group = f"{stage.namespace}.example.com"
    definition = f"""---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: widgets.{group}}}
spec:
  group: {group}
  scope: Namespaced
  names: {{plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
"""
    widget = f"---\napiVersion: {group}/v1\nkind: Widget\nmetadata: {{name: w}}\nsize: 3\n"
    async with stage.applying():
        kept = "".join(config_map(name, k="1") for name in "ab")
        await stage.declare(widget + kept)
        done = await stage.completed()
        assert done.counts == {"created": 2, "failed": 1}
        assert "tried again when it is defined" in done.problems[0].message
        await stage.declare(definition + widget + kept)
        assert (await stage.completed()).counts == {"created": 2, "unchanged": 2}
        path = f"apis/{group}/v1/namespaces/{stage.namespace}/widgets/w"
        assert (await stage.kube.call("GET", path))[1]["size"] == 3
        await stage.declare(kept)
        assert (await stage.completed()).counts == {"deleted": 2, "unchanged": 2}


async def test_drift_is_put_back_at_once_and_told_with_its_cause(stage: Stage) -> None:
    async with stage.applying():
        await stage.declare(config_map("a", k="1") + config_map("b", k="1"))
        await stage.completed()
        await stage.kube.merge("ConfigMap", "a", {"data": {"k": "x"}}, stage.namespace)
        await stage.wait_data("a", {"k": "1"})
        corrected = await stage.wait(DriftCorrected)
        assert (corrected.what, corrected.manager) == ("changed", "kubectl-edit")
        await stage.kube.delete("ConfigMap", "b", stage.namespace)
        await stage.wait_data("b", {"k": "1"})
        corrected = await stage.wait(DriftCorrected)
        assert (corrected.what, corrected.fields) == ("deleted", ())
        # Without its mark an object leaves what is watched; it is there all the same.
        unmarked = {"metadata": {"labels": {MARK: None}}}
        await stage.kube.merge("ConfigMap", "a", unmarked, stage.namespace)
        corrected = await stage.wait(DriftCorrected)
        assert corrected.what == "changed"
        assert [one.field for one in corrected.fields] == [f".metadata.labels.{MARK}"]


async def test_who_insists_is_left_alone_after_three_times_and_told(stage: Stage) -> None:
    async with stage.applying():
        await stage.declare(config_map("a", k="1"))
        await stage.completed()
        for turn in range(3):
            await stage.kube.merge("ConfigMap", "a", {"data": {"k": f"x{turn}"}}, stage.namespace)
            await stage.wait_data("a", {"k": "1"})
        assert (await stage.wait(DriftContested)).manager == "kubectl-edit"
        await stage.kube.merge("ConfigMap", "a", {"data": {"k": "mine"}}, stage.namespace)
        await asyncio.sleep(0.5)
        assert await stage.data("a") == {"k": "mine"}
        await stage.bus.publish(Draft(message=SyncRequested(sync="apps", reason="person")))
        await stage.wait_data("a", {"k": "1"})


async def test_a_new_process_applies_nothing_anew_and_finds_what_drifted_meanwhile(
    stage: Stage,
) -> None:
    async with stage.applying():
        await stage.declare(config_map("a", k="1") + config_map("b", k="1"))
        await stage.completed()
    await stage.kube.merge("ConfigMap", "a", {"data": {"k": "x"}}, stage.namespace)
    before = applies()
    async with stage.applying():
        await stage.wait_data("a", {"k": "1"})
        await stage.wait(DriftCorrected)
        await asyncio.sleep(0.2)
    assert applies() - before == 1


async def test_an_old_bundle_is_dropped_and_a_poll_is_asked_for(stage: Stage) -> None:
    polls: list[Message] = []

    async def watcher(_: str, messages: Any) -> Any:
        polls.extend(envelope.message for envelope in messages)
        return Outcome()

    async with stage.applying(), asyncio.TaskGroup() as group:
        stop = asyncio.Event()
        group.create_task(stage.bus.worker("git-watcher", watcher)(stop))
        await stage.declare(config_map("a", k="1"))
        await stage.declare(config_map("a", k="2"))
        await stage.completed()
        async with asyncio.timeout(30):
            while not polls:  # the other sync has no bundle yet, and asks for one
                await asyncio.sleep(0.01)
        polls.clear()
        old = stage.revisions[0]
        await stage.declare(config_map("a", k="1"), revision=old, height=1, ancestors=(old,))
        async with asyncio.timeout(30):
            while not polls:
                await asyncio.sleep(0.01)
        assert isinstance(polls[0], PollRequested)
        assert polls[0].reason == "again"
        assert await stage.data("a") == {"k": "2"}
        # The poll says that the branch was really moved back: then git counts.
        await stage.declare(config_map("a", k="1"), revision=old, height=1, ancestors=(old,))
        await stage.wait_data("a", {"k": "1"})
        stop.set()

    assert len(polls) == 1


async def test_a_lost_inventory_costs_applies_and_no_object(stage: Stage) -> None:
    both = config_map("a", k="1") + config_map("b", k="1")
    async with stage.applying():
        await stage.declare(both)
        await stage.completed()
        before = await stage.kube.get("ConfigMap", "b", stage.namespace)
    flux = f"{stage.namespace}-flux"
    await stage.kube.delete("ConfigMap", "flux-inventory-apps", flux)
    async with stage.applying():
        await stage.declare(both)
        assert (await stage.completed()).counts == {"configured": 2}

    assert await stage.kube.get("ConfigMap", "b", stage.namespace) == before


async def test_who_finds_that_another_applier_wrote_reads_that_and_goes_on(stage: Stage) -> None:
    async with stage.applying():
        await stage.declare(config_map("a", v="1"))
        await stage.completed()
        await stage.inventory()
        label = {"metadata": {"labels": {"somebody": "wrote"}}}
        await stage.kube.merge("ConfigMap", "flux-inventory-apps", label, f"{stage.namespace}-flux")
        await asyncio.sleep(inventory_store.CONFIRMED)  # for so long nobody looks
        await stage.declare(config_map("a", v="2"))
        await stage.completed()
    assert await stage.data("a") == {"v": "2"}


async def test_of_two_syncs_the_first_owner_keeps_an_object(stage: Stage) -> None:
    async with stage.applying():
        await stage.declare(config_map("a", k="first"))
        await stage.completed()
        await stage.declare(config_map("a", k="second"), sync="other")
        done = await stage.completed()

        assert done.counts == {"failed": 1}
        assert "declared by the sync apps already" in done.problems[0].message
        assert await stage.data("a") == {"k": "first"}


async def test_an_empty_revision_deletes_nothing(stage: Stage) -> None:
    async with stage.applying():
        await stage.declare(config_map("a", k="1"))
        await stage.completed()
        await stage.declare("")
        done = await stage.completed()

        assert not done.pruned
        assert "takes away everything (1 object)" in done.prune_reason
        assert await stage.data("a") == {"k": "1"}


async def test_a_rollout_is_told_until_it_is_ready(stage: Stage) -> None:
    deployment = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "registry.example.com/web:1"}]}
"""
    name = f"{stage.namespace}:deployment/web"
    async with stage.applying():
        await stage.declare(deployment)
        await stage.completed()
        ready = await stage.wait(
            WorkloadChanged, lambda one: one.id == name and one.status == "ready"
        )
        assert ready.containers == {"web": "registry.example.com/web:1"}
        assert (ready.rollout.desired, ready.rollout.available) == (2, 2)
        await stage.declare(deployment + config_map("a", k="1"))
        await stage.completed()
        await stage.declare(config_map("a", k="1"))
        await stage.wait(WorkloadChanged, lambda one: one.id == name and one.status == "gone")
