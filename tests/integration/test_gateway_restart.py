"""The gateway's checkpoint and RabbitMQ's stream: read on where the log is the same, else anew."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sandbox.broker import Broker, rabbitmq
from sandbox.virtual_host import virtual_host
from services.gateway.checkpoint import Checkpoint
from services.gateway.domain.view import View
from services.gateway.follow import Follower
from services.gateway.stream import Listeners
from shared.bus import rabbit
from shared.bus.client import Client
from shared.bus.layout import topology
from shared.bus.topology import declare
from shared.contract import Draft, SyncFailed, WorkloadChanged
from tests.unit.gateway.test_restart import warnings

pytestmark = [pytest.mark.rabbit, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    async with rabbitmq(tmp_path_factory.mktemp("broker")) as node:
        yield node


@asynccontextmanager
async def log(broker: Broker, name: str) -> AsyncIterator[Client]:
    """Open the bus on a log of its own."""
    async with virtual_host(broker, name) as url:
        await declare(topology([]), amqp_url=url, management_url=broker.management_url)
        async with rabbit.connect(url, source="/cluster-applier/test") as bus:
            yield bus


@asynccontextmanager
async def following(bus: Client, state: Path) -> AsyncIterator[tuple[Follower, View]]:
    """Follow the log until the end of the block; there all that was said is known."""
    view, stop = View("default", {}), asyncio.Event()
    follower = Follower(bus, view, Listeners(), Checkpoint(state / "view", of="test"), patience=2)
    async with asyncio.TaskGroup() as group:
        group.create_task(follower.run(stop))
        assert await follower.wait_caught_up(30)
        yield follower, view
        stop.set()


async def say(bus: Client, *names: str) -> None:
    live = [
        WorkloadChanged(sync="apps", target="default", id=name, status="ready") for name in names
    ]
    await bus.publish(*(Draft(message=one) for one in live))


async def test_a_restart_reads_on_behind_the_checkpoint(broker: Broker, tmp_path: Path) -> None:
    async with log(broker, "log") as bus:
        filling = SyncFailed(sync="apps", target="default", reason="the API server is gone")
        await bus.publish(*[Draft(message=filling)] * 500)
        await say(bus, "a:deployment/one")
        async with following(bus, tmp_path) as (follower, _):
            assert follower.folded == 501
        await say(bus, "a:deployment/two")
        async with following(bus, tmp_path) as (follower, view):
            assert follower.folded == 1
            assert set(view.live) == {"a:deployment/one", "a:deployment/two"}
        async with following(bus, tmp_path) as (follower, view):
            assert follower.folded == 0
            assert len(view.live) == 2


@pytest.mark.parametrize("length", [0, 1, 20], ids=["empty", "shorter", "longer"])
async def test_a_broker_that_lost_its_data_makes_the_view_anew(
    length: int, broker: Broker, tmp_path: Path
) -> None:
    names = [f"b:deployment/{number}" for number in range(length)]
    async with log(broker, "before") as bus:
        await say(bus, *(f"a:deployment/{number}" for number in range(10)))
        async with following(bus, tmp_path) as (_, view):
            assert len(view.live) == 10
    async with log(broker, "after") as bus:
        await say(bus, *names)
        with warnings() as told:
            async with following(bus, tmp_path) as (_, view):
                assert sorted(view.live) == sorted(names)
                await say(bus, "b:deployment/more")
                async with asyncio.timeout(30):
                    while "b:deployment/more" not in view.live:
                        await asyncio.sleep(0.01)
        assert [one["event"].partition(";")[0] for one in told] == ["checkpoint thrown away"]
