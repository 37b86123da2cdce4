"""A broker short of memory or disk blocks who publishes: that is told, and work goes on."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Literal

import aiohttp
import pytest

from sandbox.broker_node import Node, find_server, running
from sandbox.progress import silent
from shared.bus import names, rabbit
from shared.bus.client import Client
from shared.bus.layout import topology
from shared.bus.topology import declare
from shared.contract import Draft, PollRequested, ScanCompleted, ScanRequested, partition
from shared.runtime.health import Health
from tests.contract.test_bus import Seen, working

pytestmark = [pytest.mark.rabbit, pytest.mark.timeout(240)]

EVENT = Draft(message=ScanCompleted(image="web", tags=1, seconds=0, requests=1, found=0))
SCAN = Draft(message=ScanRequested(image="web"))
POLL = Draft(message=PollRequested(repository="git.example.com/apps#main"))


async def wait(condition: Callable[[], object], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("what", ["memory", "disk"])
async def test_nothing_hangs_on_an_alarm_and_nothing_is_lost(
    tmp_path: Path, what: Literal["memory", "disk"]
) -> None:
    script = find_server()
    assert script is not None, "the alarm needs an installed rabbitmq-server"
    async with running(script, tmp_path, say=silent) as node:
        url = _url(node)
        management = f"http://127.0.0.1:{node.address.management}"
        await declare(topology([]), amqp_url=url, management_url=management)
        seen = Seen()
        async with (
            rabbit.connect(url, source="/test/1", confirm=1.0) as bus,
            working(bus, "git-watcher", seen),
            asyncio.TaskGroup() as group,
        ):
            await bus.publish(POLL, SCAN)
            await seen.wait_messages(1)
            await node.alarm(what, on=True)
            blocked = group.create_task(bus.publish(EVENT, POLL))
            await wait(lambda: "publishing" in bus.problems())
            assert not blocked.done()
            assert await readiness(bus) == 503
            await _works_on_what_lies_there(bus)
            await node.alarm(what, on=False)
            await blocked
            await wait(lambda: "publishing" not in bus.problems())
            assert await readiness(bus) == 200
            await seen.wait_messages(2)
            assert await _in_log(bus)


async def _works_on_what_lies_there(bus: Client) -> None:
    """A worker that begins during an alarm gets what was said before, and acknowledges it."""
    scanned = Seen()
    queue = names.queue("registry-scanner", partition("web"))
    async with working(bus, "registry-scanner", scanned), asyncio.timeout(30):
        await scanned.wait_messages(1)
        while await bus.depth(queue):
            await asyncio.sleep(0.05)
    assert "publishing" in bus.problems()


async def readiness(bus: Client) -> int:
    """Return what `/readyz` of a process with this bus answers."""
    health = Health()
    health.source(bus.problems)
    async with (
        health.serving("127.0.0.1", 0) as url,
        aiohttp.ClientSession() as session,
        session.get(f"{url}/readyz") as answer,
    ):
        return answer.status


def _url(node: Node) -> str:
    address = node.address
    return f"amqp://{address.username}:{address.password}@127.0.0.1:{address.amqp}/"


async def _in_log(bus: Client) -> bool:
    async with asyncio.timeout(30), aclosing(bus.events(names.LOG)) as events:
        async for _, envelope in events:
            if envelope.message == EVENT.message:
                return True
    return False
