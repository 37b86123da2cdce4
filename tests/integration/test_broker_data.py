"""A broker that has lost all its data: who reads a stream goes on with what is new."""

import asyncio
import shutil
from contextlib import aclosing
from pathlib import Path

import pytest

from sandbox.broker import Broker, rabbitmq
from shared.bus import rabbit
from shared.bus.layout import topology
from shared.bus.names import LOG
from shared.bus.topology import declare
from shared.contract import Draft, ScanCompleted

pytestmark = [pytest.mark.rabbit, pytest.mark.timeout(240)]


async def declared(broker: Broker) -> None:
    await declare(topology([]), amqp_url=broker.amqp_url, management_url=broker.management_url)


def scanned(number: int) -> Draft:
    image = f"registry.example.com/{number}"
    return Draft(message=ScanCompleted(image=image, tags=1, seconds=0, requests=1, found=0))


async def test_what_is_new_after_a_loss_is_read(tmp_path: Path) -> None:
    async with rabbitmq(tmp_path) as broker:
        if broker.server is None:
            pytest.skip("the broker at AMQP_URL is not ours to break")
        await declared(broker)
        async with (
            rabbit.connect(broker.amqp_url, source="/test") as bus,
            aclosing(bus.events(LOG)) as events,
        ):
            await bus.publish(*map(scanned, range(20)))
            before = [(await anext(events))[0] for _ in range(20)]
            await broker.kill()
            await asyncio.to_thread(shutil.rmtree, tmp_path / "mnesia")
            await broker.start()
            await declared(broker)
            await bus.publish(*map(scanned, range(20, 23)))
            after = [await anext(events) for _ in range(3)]
    assert after[0][0] < before[-1]
    assert [one.subject for _, one in after] == [f"registry.example.com/{n}" for n in (20, 21, 22)]
