"""How well it does what was applied, and who waits for that: on the real control plane."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from sandbox.cluster import Cluster
from shared.contract import SyncCompleted, SyncHeld, WorkloadChanged
from tests.integration.applier_stage import Stage, config_map, staged

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]


def deployment(cpu: str = "1m", *, replicas: int = 2) -> str:
    return f"""---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
        - name: web
          image: "registry.example.com/web:1"
          resources: {{requests: {{cpu: {cpu}}}}}
"""


JOB = """---
apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: migrate, image: "registry.example.com/migrate:1"}]
"""
TOO_MUCH = "100000"
"""Processors: no node has so many, so its pods never start."""


CLAIM = """---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: claim}
spec: {accessModes: [ReadWriteOnce], storageClassName: "", resources: {requests: {storage: 1Gi}}}
"""


async def give_volume(stage: Stage) -> None:
    """Make the volume that the claim waits for."""
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": "/tmp"},
        "claimRef": {"name": "claim", "namespace": stage.namespace},
    }
    body = {"metadata": {"name": stage.namespace}, "spec": spec}
    assert (await stage.kube.call("POST", "api/v1/persistentvolumes", body))[0] == 201


async def test_a_workload_is_told_with_its_health_and_why_it_has_none(
    place: Cluster, tmp_path: Path
) -> None:
    async with staged(place, tmp_path) as stage, stage.applying():
        await stage.declare(deployment())
        ready = await stage.wait(WorkloadChanged, lambda one: one.health == "ready")
        assert (ready.status, ready.rollout.available, ready.message) == ("ready", 2, "")
        await stage.declare(deployment(TOO_MUCH))
        unready = await stage.wait(WorkloadChanged, lambda one: one.message.endswith("updated"))
        assert (unready.health, unready.status) == ("progressing", "updating")


async def set_status(stage: Stage, path: str, **status: Any) -> None:
    patch, kind = {"status": status}, "application/merge-patch+json"
    assert (await stage.kube.call("PATCH", f"{path}/status", patch, kind))[0] == 200


async def test_a_custom_resource_is_told_with_what_its_conditions_say(
    place: Cluster, tmp_path: Path
) -> None:
    group = "gears.example.com"
    gears = "".join(
        f"---\napiVersion: {group}/v1alpha1\nkind: Gear\nmetadata: {{name: {name}}}\n{spec}"
        for name, spec in (("said", "spec: {teeth: 1}\n"), ("silent", ""))
    )
    async with staged(place, tmp_path) as stage, stage.applying():
        path = f"{await stage.define(group, 'Gear')}/said"
        await stage.declare(gears + JOB)
        await stage.completed()
        for condition, health, status, message in (
            ({"type": "Ready", "status": "False", "message": "oiling"}, *UPDATING, "oiling"),
            ({"type": "Reconciling", "status": "True", "message": "turning"}, *UPDATING, "turning"),
            ({"type": "Stalled", "status": "True", "message": "no oil"}, *ERROR, "no oil"),
            ({"type": "Ready", "status": "True"}, *READY, ""),
        ):
            await set_status(stage, path, observedGeneration=1, conditions=[condition])
            told = await stage.wait(WorkloadChanged, lambda one: one.id.endswith(":gear/said"))
            assert (told.health, told.status, told.message) == (health, status, message)
            assert (told.sync, told.rollout.desired) == ("apps", 0)
        await stage.declare(gears.replace("teeth: 1", "teeth: 2") + JOB)
        told = await stage.wait(WorkloadChanged, lambda one: one.id.endswith(":gear/said"))
        assert (told.health, told.message) == ("progressing", "its controller has not seen it yet")
        job = await stage.wait(WorkloadChanged, lambda one: one.id.endswith(":job/migrate"))
        assert job.containers == {"migrate": "registry.example.com/migrate:1"}
        await stage.declare(gears.replace("name: said", "name: other") + JOB)
        gone = await stage.wait(WorkloadChanged, lambda one: one.id.endswith(":gear/said"))
        assert gone.status == "gone"
        names = [one.id for one in stage.told if isinstance(one, WorkloadChanged)]
        assert not [name for name in names if "gear/silent" in name or "gear/other" in name]


UPDATING, ERROR, READY = ("progressing", "updating"), ("failed", "error"), ("ready", "ready")


async def test_a_revision_is_told_once_all_of_it_is_ready(place: Cluster, tmp_path: Path) -> None:
    async with staged(place, tmp_path, wait=True) as stage, stage.applying():
        group = f"{stage.namespace}.example.com"
        gears = await stage.define(group, "Gear")
        gear = f"---\napiVersion: {group}/v1alpha1\nkind: Gear\nmetadata: {{name: g}}\n"

        async def turn(ready: str) -> bool:
            status = {"conditions": [{"type": "Ready", "status": ready, "message": "turning"}]}
            kind = "application/merge-patch+json"
            path = f"{gears}/g/status"
            return (await stage.kube.call("PATCH", path, {"status": status}, kind))[0] == 200

        await stage.declare(deployment() + gear + JOB + CLAIM + config_map("a", k="1"))
        async with asyncio.timeout(30):
            while not await turn("False"):
                await asyncio.sleep(0.05)
        await stage.wait(WorkloadChanged, lambda one: one.health == "ready")
        await give_volume(stage)
        path = f"api/v1/namespaces/{stage.namespace}/persistentvolumeclaims/claim"
        async with asyncio.timeout(30):
            while (await stage.kube.call("GET", path))[1]["status"]["phase"] != "Bound":
                await asyncio.sleep(0.05)
        assert not [one for one in stage.told if isinstance(one, SyncCompleted)]
        await turn("True")
        done = await stage.completed()

        assert (done.healthy, done.unhealthy, done.counts) == (True, (), {"created": 5})


async def test_after_the_deadline_it_is_told_what_is_not_ready_and_later_that_it_is(
    place: Cluster, tmp_path: Path
) -> None:
    async with staged(place, tmp_path, wait=True, wait_timeout="1s") as stage, stage.applying():
        await stage.declare(CLAIM + config_map("a", k="1"))
        done = await stage.completed()
        assert done.healthy is False
        (unhealthy,) = done.unhealthy
        assert unhealthy.id == f"PersistentVolumeClaim {stage.namespace}/claim"
        assert (unhealthy.health, unhealthy.message) == ("progressing", "it is Pending")
        await give_volume(stage)
        assert (await stage.completed()).healthy is True


async def test_waiting_holds_up_neither_the_next_revision_nor_drift(
    place: Cluster, tmp_path: Path
) -> None:
    async with staged(place, tmp_path, wait=True) as stage, stage.applying():
        await stage.declare(CLAIM + config_map("a", k="1"))
        await stage.wait_data("a", {"k": "1"})
        await stage.kube.merge("ConfigMap", "a", {"data": {"k": "x"}}, stage.namespace)
        await stage.wait_data("a", {"k": "1"})
        await stage.declare(config_map("a", k="2"))
        done = await stage.completed()
        assert (done.healthy, done.revision) == (True, stage.revisions[-1])


async def test_a_process_that_died_while_it_waited_is_told_for_by_the_next(
    place: Cluster, tmp_path: Path
) -> None:
    async with staged(place, tmp_path, wait=True) as stage:
        async with stage.applying():
            await stage.declare(CLAIM)
            path = f"api/v1/namespaces/{stage.namespace}/persistentvolumeclaims/claim"
            async with asyncio.timeout(30):
                while (await stage.kube.call("GET", path))[0] != 200:
                    await asyncio.sleep(0.05)
            await asyncio.sleep(0.3)  # the inventory is written
        assert not [one for one in stage.told if isinstance(one, SyncCompleted)]
        await give_volume(stage)
        async with stage.applying():
            assert (await stage.completed()).healthy is True


async def test_a_sync_waits_for_those_it_depends_on_and_says_so(
    place: Cluster, tmp_path: Path
) -> None:
    async with staged(place, tmp_path, depends_on=["other"]) as stage, stage.applying():
        await stage.declare(config_map("a", k="1"))
        held = await stage.wait(SyncHeld)
        assert held.reason == "it waits until other is applied and ready"
        assert await stage.data("a") is None
        # Of the same repository an older revision is not enough; the newer one is.
        bad = config_map("b", k="1").replace("{name: b}", "{name: b, namespace: nowhere}")
        await stage.declare(bad, sync="other")
        await stage.completed()
        assert await stage.data("a") is None
        await stage.declare(config_map("b", k="1"), sync="other")
        await stage.completed()
        await stage.wait_data("a", {"k": "1"})
        assert (await stage.wait(SyncHeld)).reason == ""
        await stage.declare(config_map("a", k="2"))
        await stage.wait(SyncHeld, lambda one: bool(one.reason))
        assert await stage.data("a") == {"k": "1"}
        await stage.declare(config_map("b", k="2"), sync="other")
        await stage.wait_data("a", {"k": "2"})
