"""What people and timers ask of one sync: rest, go on, compare; on the real control plane."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from sandbox.cluster import Cluster
from shared.contract import (
    Cause,
    Draft,
    DriftCorrected,
    OrderCompleted,
    SuspendRequested,
    SyncCompleted,
    SyncHeld,
)
from tests.integration.applier_stage import Stage, applies, config_map
from tests.integration.deaf import deaf

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]


async def order(stage: Stage, *, suspended: bool) -> None:
    cause = Cause(user="user@example.com", message="maintenance")
    told = SuspendRequested(sync="apps", suspended=suspended, cause=cause)
    await stage.bus.publish(Draft(message=told))


async def test_a_suspended_sync_leaves_its_cluster_as_it_is_until_it_is_resumed(
    stage: Stage,
) -> None:
    async with stage.applying():
        await stage.declare(config_map("a", k="1") + config_map("gone", k="1"))
        await stage.completed()
        await order(stage, suspended=True)
        await stage.wait(OrderCompleted)
        held = await stage.wait(SyncHeld)
        assert held.reason == "suspended by user@example.com: maintenance"
        before = applies()
        await stage.declare(config_map("a", k="2"))
        await stage.kube.merge("ConfigMap", "a", {"data": {"k": "mine"}}, stage.namespace)
        await asyncio.sleep(0.5)
    async with stage.applying():  # the next process knows, too
        held = await stage.wait(SyncHeld)
        assert held.reason == "suspended by user@example.com: maintenance"
        await asyncio.sleep(0.5)
        assert applies() == before
        assert (await stage.data("a"), await stage.data("gone")) == ({"k": "mine"}, {"k": "1"})
        assert not [one for one in stage.told if isinstance(one, SyncCompleted | DriftCorrected)]
        await order(stage, suspended=False)
        await stage.wait_data("a", {"k": "2"})
        assert (await stage.completed()).counts == {"configured": 1, "deleted": 1}
        assert (await stage.wait(SyncHeld)).reason == ""


async def test_another_sync_of_the_target_goes_on(stage: Stage) -> None:
    async with stage.applying():
        await order(stage, suspended=True)
        await stage.wait(SyncHeld)
        await stage.declare(config_map("a", k="1"))
        await stage.declare(config_map("b", k="1"), sync="other")
        await stage.wait_data("b", {"k": "1"})
        assert await stage.data("a") is None


SERVICE = """---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""


async def test_what_a_silent_watch_missed_is_found_within_an_interval_by_lists(
    place: Cluster, tmp_path: Path
) -> None:
    async with deaf(place, tmp_path) as (stage, link), stage.applying():
        maps = "".join(config_map(name, k="1") for name in "abcdefgh")
        await stage.declare(maps + SERVICE)
        assert (await stage.completed()).counts == {"created": 9}
        lists, services = "/api/v1/configmaps", "/api/v1/services"
        await link.wait_lists(lists, 1)

        await stage.kube.delete("ConfigMap", "a", stage.namespace)
        await stage.kube.merge("ConfigMap", "b", {"data": {"k": "x"}}, stage.namespace)
        told = [await stage.wait(DriftCorrected) for _ in range(2)]
        assert {one.id.rpartition("/")[2]: one.what for one in told} == {
            "a": "deleted",
            "b": "changed",
        }
        assert await stage.data("a") == await stage.data("b") == {"k": "1"}

        await link.wait_lists(lists, 1)
        link.asked.clear()
        await link.wait_lists(lists, 2)
        counts = Counter(link.asked)
        assert {path for _, path in counts if stage.namespace in path} == set()
        assert {verb for verb, _ in counts} == {"GET"}
        assert counts["GET", services] == pytest.approx(counts["GET", lists], abs=1)
