"""A broker of three nodes loses nothing that it confirmed when the leader is killed under load."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from sandbox.broker_cluster import BrokerCluster, broker_cluster
from sandbox.broker_node import find_server
from sandbox.progress import silent
from shared.bus import names, rabbit
from shared.bus.client import Client
from shared.bus.layout import topology
from shared.bus.topology import declare
from shared.contract import Draft, Envelope, PollRequested, ScanCompleted
from tests.contract.test_bus import Seen, working

pytestmark = [pytest.mark.rabbit, pytest.mark.timeout(240)]

REPOSITORY = "git.example.com/acme/apps#main"
PUBLISHERS = 32
LONGEST = 20.0
"""Seconds; it is some two, and a confirm that never came would be waited for 30."""


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[BrokerCluster]:
    script = find_server()
    assert script is not None, "the cluster needs an installed rabbitmq-server"
    async with broker_cluster(script, tmp_path, say=silent) as found:
        await declare(topology([]), amqp_url=found.amqp_url, management_url=found.management_url())
        yield found


async def in_log(bus: Client, wanted: set[str]) -> list[str]:
    """Return the images of the events in the log, once all that are *wanted* are there."""
    found: list[str] = []
    async with asyncio.timeout(60), aclosing(bus.events(names.LOG)) as events:
        async for _, envelope in events:
            if isinstance(envelope.message, ScanCompleted):
                found.append(envelope.message.image)
            if wanted <= set(found):
                return found
    return found


async def test_a_killed_leader_loses_nothing_and_the_work_goes_on(cluster: BrokerCluster) -> None:
    confirmed: set[str] = set()
    waited: list[float] = []
    stop = asyncio.Event()

    async def publish(bus: Client, number: int) -> None:
        count = 0
        while not stop.is_set():
            name = f"image-{number}-{count}"
            event = ScanCompleted(image=name, tags=1, seconds=0, requests=1, found=0)
            poll = PollRequested(repository=REPOSITORY, reason=name)
            began = time.monotonic()
            await bus.publish(Draft(message=event), Draft(message=poll))
            waited.append(time.monotonic() - began)
            confirmed.add(name)
            count += 1

    seen = Seen()
    leader = await cluster.leader("flux.log")
    async with (
        rabbit.connect(cluster.amqp_url, source="/test/a") as bus,
        rabbit.connect(rotated(cluster.amqp_url, 1), source="/test/b") as second,
        rabbit.connect(rotated(cluster.amqp_url, 2), source="/test/c") as third,
        working(bus, "git-watcher", seen),
    ):
        async with asyncio.TaskGroup() as group:
            for number in range(PUBLISHERS):
                group.create_task(publish((bus, second, third)[number % 3], number))
            async with asyncio.timeout(30):
                while len(confirmed) < 20 * PUBLISHERS:
                    await asyncio.sleep(0.01)
            before = len(confirmed)
            await cluster.nodes[leader].kill()
            async with asyncio.timeout(60):
                while (
                    len(confirmed) < before + 2 * PUBLISHERS
                ):  # the two others go on by themselves
                    await asyncio.sleep(0.1)
            await cluster.nodes[leader].start()
            await cluster.wait_together(leader)
            stop.set()
        assert max(waited) < LONGEST
        assert confirmed <= set(await in_log(bus, confirmed))
        async with asyncio.timeout(60):
            while not confirmed <= {reason(one) for one in seen.messages}:
                await asyncio.sleep(0.1)


def rotated(urls: str, places: int) -> str:
    """Return addresses of which another one is the first to be tried."""
    nodes = urls.split(",")
    return ",".join(nodes[places:] + nodes[:places])


def reason(envelope: Envelope) -> str:
    assert isinstance(envelope.message, PollRequested)
    return envelope.message.reason
