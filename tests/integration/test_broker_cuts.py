"""A connection that is cut again and again, in the middle of anything: work goes on."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from yarl import URL

from sandbox.broker import Broker, rabbitmq
from sandbox.proxy import proxy
from shared.bus import rabbit
from shared.bus.client import Client
from shared.bus.layout import topology
from shared.bus.names import LOG
from shared.bus.port import Outcome
from shared.bus.topology import declare
from shared.contract import Draft, Envelope, PollRequested, ScanCompleted

pytestmark = [pytest.mark.rabbit, pytest.mark.timeout(240)]

CUTS = 40
SUBJECTS = [f"repository-{number}#main" for number in range(64)]


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with rabbitmq(tmp_path) as node:
        await declare(topology([]), amqp_url=node.amqp_url, management_url=node.management_url)
        yield node


async def test_every_partition_is_worked_on_after_many_cuts(broker: Broker) -> None:
    chance = random.Random(1)
    direct = URL(broker.amqp_url)
    heard, stop, changed = set[str](), asyncio.Event(), asyncio.Event()

    async def on_group(subject: str, messages: Sequence[Envelope]) -> Outcome:
        heard.add(subject)
        changed.set()
        event = ScanCompleted(image=subject, tags=1, seconds=0, requests=1, found=0)
        return Outcome(events=tuple(Draft(message=event, cause=one) for one in messages))

    async with (
        proxy(direct.host or "", direct.port or 0) as between,
        rabbit.connect(str(direct.with_port(between.port)), source="/test") as ours,
        rabbit.connect(broker.amqp_url, source="/test") as others,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(ours.worker("git-watcher", on_group)(stop))
        polls = [Draft(message=PollRequested(repository=subject)) for subject in SUBJECTS]
        for _ in range(CUTS):
            await others.publish(*polls)
            await asyncio.sleep(chance.uniform(0, 0.4))
            await between.cut()
            await between.restore()
        heard.clear()
        await others.publish(*polls)
        while heard != set(SUBJECTS):
            changed.clear()
            async with asyncio.timeout(60):
                await changed.wait()
        stop.set()


async def test_what_is_given_up_in_the_middle_of_a_call_costs_no_connection(
    broker: Broker,
) -> None:
    chance = random.Random(1)

    async def read(bus: Client) -> None:
        with suppress(TimeoutError):
            async with (
                asyncio.timeout(chance.uniform(0, 0.02)),
                aclosing(bus.events(LOG)) as events,
            ):
                await anext(events)

    with capture_logs() as logs:
        async with rabbit.connect(broker.amqp_url, source="/test") as bus:
            for _ in range(60):
                await asyncio.gather(*(read(bus) for _ in range(8)))
    assert [one for one in logs if one["event"] == "broker down"] == []
