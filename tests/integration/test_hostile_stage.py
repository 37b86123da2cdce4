"""A stage that was taken over says what it may in every odd way: it harms nobody but itself."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import aio_pika
import pytest
from yarl import URL

from sandbox.broker import Broker, rabbitmq
from sandbox.progress import silent
from sandbox.virtual_host import service_urls, virtual_host
from shared.bus import names, rabbit
from shared.bus.client import Client
from shared.bus.layout import topology
from shared.bus.letters import Letter
from shared.bus.topology import declare
from shared.contract import PARTITIONS, Draft, PollRequested, partition
from shared.contract.codec import encode
from shared.contract.registry import SERVICES, STAGES
from shared.runtime.errors import TemporaryError
from tests.contract.test_bus import Seen, every, working

pytestmark = [pytest.mark.rabbit, pytest.mark.timeout(120)]

HOSTILE = "cluster-applier"
"""It may ask for a poll, and so write into a queue of git-watcher."""
REPOSITORY = "git.example.com/apps#main"
POLL = PollRequested(repository=REPOSITORY, reason="hostile")
KEY = names.routing_key(POLL)
QUEUE = names.queue("git-watcher", partition(REPOSITORY))
OTHER = names.queue("git-watcher", (partition(REPOSITORY) + 1) % PARTITIONS)


@dataclass(frozen=True, slots=True)
class Odd:
    """What is said, and the part of a reason that it dies of; one that is empty is worked on."""

    reason: str = ""
    headers: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)


ODD = {
    "as it should be": Odd(),
    "priority": Odd(properties={"priority": 255}),
    "an app, a type, a time": Odd(
        properties={"app_id": "x" * 255, "type": "x" * 255, "timestamp": datetime.now(UTC)}
    ),
    "another id": Odd(properties={"message_id": "x" * 255, "correlation_id": "x" * 255}),
    "compressed": Odd("content encoding 'gzip'", properties={"content_encoding": "gzip"}),
    "a reply address": Odd("reply_to must be", properties={"reply_to": "x" * 255}),
    "a long id": Odd("'id' must be printable", headers={"cloudEvents:id": "x" * 10_000}),
    "an id that is a table": Odd("'id' is dict", headers={"cloudEvents:id": {"a": {"b": [1]}}}),
    "an id that is a number": Odd("'id' is Decimal", headers={"cloudEvents:id": Decimal("1.5")}),
    "an id of bytes": Odd("'id' is bytearray", headers={"cloudEvents:id": bytearray(b"\xff")}),
    "no id": Odd("'id' is missing", headers={"cloudEvents:id": None}),
    "huge headers": Odd(headers={f"x{number:03}": "y" * 120 for number in range(900)}),
    "odd headers": Odd(
        headers={
            "table": {"a": {"b": {"c": [1, {"d": None}]}}},
            "decimal": Decimal("1.23"),
            "bytes": bytearray(b"\x00\xff"),
            "time": datetime.now(UTC),
            "array": [True, 1.5, "x", [None]],
            "x-death": "garbage",
            "x-delivery-count": -1,
        }
    ),
    "as another": Odd("said poll.requested.v1 as", headers={"cloudEvents:source": "/gateway/1"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A virtual host with everything declared."""

    url: str
    urls: Mapping[str, str]

    async def say(self, odd: Odd) -> None:
        """Ask for a poll, as the hostile stage."""
        headers, body = encode(Draft(message=POLL).sealed(f"/{HOSTILE}/1"))
        user = URL(self.urls[HOSTILE]).user
        message = aio_pika.Message(
            body, headers={**headers, **odd.headers}, user_id=user, **odd.properties
        )
        async with await aio_pika.connect(self.urls[HOSTILE]) as connection:
            exchange = await (await connection.channel()).get_exchange(names.COMMANDS, ensure=False)
            await exchange.publish(message, KEY)


@pytest.fixture(scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    async with rabbitmq(tmp_path_factory.mktemp("broker"), say=silent) as found:
        yield found


@pytest.fixture
async def place(node: Broker) -> AsyncIterator[Place]:
    async with virtual_host(node, "hostile") as url:
        urls = service_urls(url, SERVICES)
        await declare(
            topology([]), amqp_url=url, management_url=node.management_url, service_urls=urls
        )
        yield Place(url=url, urls=urls)


async def dead(bus: Client, count: int) -> list[Letter]:
    async with asyncio.timeout(30):
        while True:
            with suppress(TemporaryError):  # not connected yet
                if await bus.depth(names.DEAD) >= count:
                    break
            await asyncio.sleep(0.05)
    async with bus.dead_letters() as letters:
        return [one async for one in letters]


async def test_whatever_is_odd_is_worked_on_or_dies_with_its_reason(place: Place) -> None:
    seen = Seen()
    reasons = [odd.reason for odd in ODD.values() if odd.reason]
    async with (
        rabbit.connect(place.url, source="/test") as reader,
        rabbit.connect(place.urls["git-watcher"], source="/git-watcher/1") as watcher,
        working(watcher, "git-watcher", seen),
    ):
        for odd in ODD.values():
            await place.say(odd)
        letters = await dead(reader, len(reasons))
        came = await seen.wait_messages(len(ODD) - len(reasons))

    assert len(letters) == len(reasons)
    assert len(came) == len(ODD) - len(reasons)
    for letter, reason in zip(letters, reasons, strict=True):
        assert reason in letter.reason


@pytest.mark.parametrize("header", ["CC", "BCC"])
async def test_a_copy_for_others_reaches_no_handler(place: Place, header: str) -> None:
    """RabbitMQ looks at the key alone, not at the further ones that a header may name."""
    order = f"update.requested.v1.{partition(REPOSITORY)}"
    other = f"poll.requested.v1.{OTHER.rpartition('.')[2]}"
    stages = {name: Seen() for name in STAGES if name != HOSTILE}
    async with (
        rabbit.connect(place.url, source="/test") as reader,
        rabbit.connect(place.urls["git-watcher"], source="/git-watcher/1") as watcher,
        rabbit.connect(place.urls["repo-writer"], source="/repo-writer/1") as writer,
        working(watcher, "git-watcher", stages["git-watcher"]),
        working(writer, "repo-writer", stages["repo-writer"]),
    ):
        await place.say(Odd(headers={header: [order, other]}))
        await stages["git-watcher"].wait_messages(1)
        letters = await dead(reader, 2)
        log = await every(reader)

    reasons = sorted(one.reason for one in letters)
    assert "does not belong into" in reasons[0]
    assert OTHER in reasons[0]
    assert "is not for repo-writer" in reasons[1]
    assert len(stages["git-watcher"].messages) == 1
    assert not stages["repo-writer"].messages
    assert log == []


async def test_what_expires_ends_as_a_dead_letter_of_its_own(place: Place) -> None:
    async with rabbit.connect(place.url, source="/test") as reader:
        await dead(reader, 0)
        await place.say(Odd(properties={"expiration": 0.01}))
        (letter,) = await dead(reader, 1)
    assert (letter.queue, letter.reason) == (QUEUE, "the broker: expired")
    assert letter.type == POLL.type
