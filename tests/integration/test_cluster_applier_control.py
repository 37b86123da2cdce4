"""What people ask of one sync: to rest, and to go on; on the real control plane."""

import asyncio

import pytest

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

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]


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
