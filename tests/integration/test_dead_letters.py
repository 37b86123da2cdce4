"""Dead letters by the thousand, and awkward ones, on the real broker: found, replayed, dropped."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aio_pika
import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from sandbox.broker import Broker, rabbitmq
from sandbox.progress import silent
from sandbox.virtual_host import virtual_host
from services.gateway.alarm import Alarm
from services.gateway.dead_letters import LISTED, PATH, DeadLetters
from services.gateway.domain.errors import ApiError
from shared.bus import names, rabbit
from shared.bus.client import Client
from shared.bus.layout import topology
from shared.bus.topology import declare
from shared.contract import Draft, PollRequested, partition
from shared.contract.codec import encode
from tests.contract.test_bus import Seen, letters_of, working

pytestmark = [pytest.mark.rabbit, pytest.mark.timeout(240)]

ALL = 1_500
"""More than are listed at once; ten thousand behave alike, and take longer."""
REPOSITORY = "git.example.com/apps#main"
QUEUE = names.queue("git-watcher", partition(REPOSITORY))

Wire = tuple[Mapping[str, object], bytes]


def dead(number: int, queue: str = QUEUE) -> Wire:
    """Return a letter as a worker buries it."""
    message = PollRequested(repository=REPOSITORY, reason=f"number {number}")
    headers, body = encode(Draft(message=message, id=f"id-{number}").sealed("/gateway/1"))
    why = {"flux-letter": f"letter-{number}", "flux-reason": f"reason {number}."}
    return {**headers, **why, "flux-queue": queue}, body


@dataclass(frozen=True, slots=True, kw_only=True)
class Graves:
    """The queue of dead letters, and the gateway's routes to them."""

    url: str
    bus: Client
    base: str

    async def bury(self, letters: Iterable[Wire]) -> None:
        places = asyncio.Semaphore(500)
        async with await aio_pika.connect(self.url) as connection, asyncio.TaskGroup() as group:
            exchange = await (await connection.channel()).get_exchange(names.DEAD, ensure=False)

            async def publish(headers: Mapping[str, Any], body: bytes) -> None:
                await exchange.publish(aio_pika.Message(body, headers=dict(headers)), "x")
                places.release()

            for letter in letters:
                await places.acquire()
                group.create_task(publish(*letter))

    async def ask(self, method: str, what: str = "", **query: str) -> list[dict[str, Any]]:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.base}{PATH}{what}", params=query) as answer,
        ):
            assert answer.status == 200, await answer.text()
            found: list[dict[str, Any]] = await answer.json()
            return found

    async def wait_depth(self, count: int) -> None:
        async with asyncio.timeout(60):
            while await self.bus.depth(names.DEAD) != count:
                await asyncio.sleep(0.1)


@web.middleware
async def told(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        answer: web.StreamResponse = await handler(request)
    except ApiError as error:
        return web.Response(status=503, text=str(error))
    return answer


@asynccontextmanager
async def serving(bus: Client) -> AsyncIterator[str]:
    app = web.Application(middlewares=[told])
    app.add_routes(DeadLetters(bus, Alarm(bus)).routes())
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture(scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    async with rabbitmq(tmp_path_factory.mktemp("broker"), say=silent) as found:
        yield found


@pytest.fixture
async def graves(node: Broker) -> AsyncIterator[Graves]:
    async with virtual_host(node, "dead") as url:
        await declare(topology([]), amqp_url=url, management_url=node.management_url)
        async with rabbit.connect(url, source="/gateway/1") as bus, serving(bus) as base:
            await letters_of(bus, 0)  # it is connected
            yield Graves(url=url, bus=bus, base=base)


async def test_of_thousands_each_is_found_replayed_and_dropped(graves: Graves) -> None:
    await graves.bury(dead(number) for number in range(ALL))
    await graves.wait_depth(ALL)
    assert len(await graves.ask("GET")) == LISTED
    (last,) = await graves.ask("GET", reason=f"reason {ALL - 1}.")
    assert last["data"]["reason"] == f"number {ALL - 1}"

    seen = Seen()
    async with (
        rabbit.connect(graves.url, source="/git-watcher/1") as watcher,
        working(watcher, "git-watcher", seen),
    ):
        (done,) = await graves.ask("POST", "/replay", id=last["id"], by="Ana")
        (came,) = await seen.wait_messages(1)
    assert (done["id"], done["error"]) == (last["id"], "")
    assert (came.id, came.correlationid) == (f"id-{ALL - 1}", f"id-{ALL - 1}")
    await graves.wait_depth(ALL - 1)

    assert len(await graves.ask("POST", "/drop", all="true")) == ALL - 1
    await graves.wait_depth(0)


async def test_who_replays_is_told_of_the_queue_that_is_gone_and_the_rest_is_replayed(
    graves: Graves,
) -> None:
    headers, body = dead(4)
    copied = {**headers, "CC": ["git-watcher.3"]}, body  # which is for its own queue all the same
    await graves.bury([dead(1, "git-watcher.99"), dead(2), dead(3, ""), copied])
    await graves.wait_depth(4)
    with capture_logs() as logs:
        done = await graves.ask("POST", "/replay", all="true", by="Ana")

    assert [bool(one["error"]) for one in done] == [True, False, True, False]
    assert "no queue 'git-watcher.99'" in done[0]["error"]
    assert ("Ana", 2) in [(one.get("by"), one.get("count")) for one in logs]
    assert await graves.bus.depth(QUEUE) == 2
    assert await graves.bus.depth("git-watcher.3") == 0
    await graves.wait_depth(2)
    assert not graves.bus.problems()  # that a queue is gone is nothing that is wrong with us


AWKWARD: tuple[Wire, ...] = (
    ({}, b"\xff\xfe\x00"),
    ({"x-death": "garbage", "flux-reason": {"a": [1]}}, b"[" * 50_000),
    ({"flux-letter": 5, "cloudEvents:type": bytearray(b"\xff"), "flux-queue": [QUEUE]}, b""),
    ({"x-death": [{"queue": "q", "reason": "delivery_limit", "count": 21}]}, b"{}"),
    ({"flux-reason": "git clone https://ana:hunter22@git.example.com/x failed"}, b"{}"),
    ({}, json.dumps({"url": "https://ana:hunter22@git.example.com/x", "a": 1}).encode()),
)


async def test_awkward_letters_are_listed_without_secrets_and_dropped(graves: Graves) -> None:
    await graves.bury(AWKWARD)
    await graves.wait_depth(len(AWKWARD))
    found = await graves.ask("GET")

    assert len({one["id"] for one in found}) == len(found) == len(AWKWARD)
    assert found[3]["reason"] == "the broker: delivery_limit"
    assert "hunter22" not in json.dumps(found)
    assert found[5]["data"] == {"url": "https://***@git.example.com/x", "a": 1}
    for one in found:
        assert [done["id"] for done in await graves.ask("POST", "/drop", id=one["id"])] == [
            one["id"]
        ]
    await graves.wait_depth(0)


async def test_people_who_come_together_see_all_and_do_it_once(graves: Graves) -> None:
    await graves.bury(dead(number) for number in range(50))
    await graves.wait_depth(50)
    listed, *dropped = await asyncio.gather(
        graves.ask("GET"),
        *(graves.ask("POST", "/drop", reason="reason 7.") for _ in range(4)),
        *(graves.ask("POST", "/drop", reason=f"reason {one}.") for one in (1, 2, 3)),
    )

    assert len(listed) >= 46
    assert sorted(len(one) for one in dropped) == [0, 0, 0, 1, 1, 1, 1]
    for _ in range(40):  # who looks right after another sees what that one gave back
        assert len(await letters_of(graves.bus, 46)) == len(await graves.ask("GET")) == 46
