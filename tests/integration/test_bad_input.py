"""Thousands of bad messages, and frames that are none: RabbitMQ takes them, and no worker stops."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aio_pika
import aiormq
import pytest
from aiormq.abc import ChannelFrame
from pamqp import commands
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from sandbox.broker import rabbitmq
from sandbox.progress import silent
from shared.bus import names, rabbit
from shared.bus.layout import topology
from shared.bus.topology import declare
from shared.contract import Draft, Envelope, Event, PollRequested, ScanFailed
from shared.contract.codec import LARGEST, encode
from tests.contract.test_bus import Seen, every, letters_of, working

pytestmark = [pytest.mark.rabbit, pytest.mark.timeout(600)]

ALL = 10_000
IN_FLIGHT = 500

Wire = tuple[Mapping[str, str], bytes]


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    async with rabbitmq(tmp_path, say=silent) as node:
        management = node.management_url
        await declare(topology([]), amqp_url=node.amqp_url, management_url=management)
        yield node.amqp_url


def polled(number: int) -> PollRequested:
    return PollRequested(repository=f"r{number % 100}#main", reason=str(number))


def messages() -> Iterator[tuple[str, str, Wire]]:
    """Yield what each is, the key that it goes by, and its headers and body."""
    for number in range(ALL):
        message = polled(number)
        headers, body = encode(Draft(message=message).sealed("/test"))
        wrong_type = {**headers, "cloudEvents:type": "revision.observed.v1"}
        kinds: Mapping[str, Wire] = {
            "good": (headers, body),
            "garbage": ({}, number.to_bytes(8)),
            "truncated": (headers, body[:-3]),
            "wrong type": (wrong_type, body),
            "unknown type": ({**headers, "cloudEvents:type": "none.v1"}, body),
        }
        kind = "huge" if number % 1_000 == 7 else list(kinds)[number % len(kinds)]
        huge = headers, body.ljust(LARGEST + 1)
        yield kind, names.routing_key(message), huge if kind == "huge" else kinds[kind]


async def publish_all(url: str) -> Counter[str]:
    published: Counter[str] = Counter()
    places = asyncio.Semaphore(IN_FLIGHT)
    async with await aio_pika.connect(url) as connection, asyncio.TaskGroup() as group:
        channel = await connection.channel()
        exchange = await channel.get_exchange(names.COMMANDS, ensure=False)

        async def publish(number: int, kind: str, key: str, wire: Wire) -> None:
            headers = {**wire[0], "number": number, "kind": kind}
            await exchange.publish(aio_pika.Message(wire[1], headers=headers), key)
            published[kind] += 1
            places.release()

        for number, (kind, key, wire) in enumerate(messages()):
            await places.acquire()
            group.create_task(publish(number, kind, key, wire))
    return published


async def buried(url: str, count: int) -> list[Mapping[str, object]]:
    """Take *count* letters out of the dead ones."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.set_qos(1_000)
        queue = await channel.get_queue(names.DEAD, ensure=False)
        letters: asyncio.Queue = asyncio.Queue()
        await queue.consume(letters.put, no_ack=True)
        return [(await letters.get()).headers for _ in range(count)]


async def test_of_ten_thousand_each_ends_done_or_dead_with_its_reason(url: str) -> None:
    seen = Seen()
    async with (
        rabbit.connect(url, source="/git-watcher/1") as bus,
        working(bus, "git-watcher", seen),
        asyncio.timeout(500),
    ):
        published = await publish_all(url)
        letters = await buried(url, ALL - published["good"])
        done = await seen.wait_messages(published["good"])

    assert published.total() == ALL == len(letters) + len(done)
    dead = {int(str(letter["number"])) for letter in letters}
    assert dead | {_number(one) for one in done} == set(range(ALL))
    assert Counter(letter["kind"] for letter in letters) == published - Counter(
        good=published["good"]
    )
    for letter in letters:
        assert REASONS[str(letter["kind"])] in str(letter["flux-reason"])


REASONS = {
    "garbage": "'type' is missing",
    "truncated": "Invalid JSON",
    "wrong type": "Field required",
    "unknown type": "unknown type",
    "huge": f"{LARGEST} are allowed",
}


def _number(envelope: Envelope) -> int:
    assert isinstance(envelope.message, PollRequested)
    return int(envelope.message.reason)


def _nested(length: int) -> bytes:
    """Return a table in a table in a table, *length* bytes altogether."""
    made = b""
    while length > 20:
        length -= 7
        made += b"\x01aF" + length.to_bytes(4)
    return made + b"\x01bS" + (length - 7).to_bytes(4) + b"x" * (length - 7)


DEEP = 60_000
FRAMES = {
    "a content type that is no UTF-8": ({"content_type": "ZZZZ"}, b"ZZZZ", b"Z\xff\xfeZ"),
    "a header's name that is no UTF-8": ({"headers": {"ZZZZ": "x"}}, b"ZZZZ", b"Z\xff\xfeZ"),
    "a header that is no UTF-8": ({"headers": {"a": "ZZZZ"}}, b"ZZZZ", b"Z\xff\xfeZ"),
    "a header with a time after all years": ({"headers": {"YYYY": 2**62}}, b"YYYYl", b"YYYYT"),
    "a time after all years": (
        {"timestamp": datetime.fromtimestamp(123_456, UTC)},
        (123_456).to_bytes(8),
        b"\x7f" + b"\xff" * 7,
    ),
    "tables without end": (
        {"headers": {"YYYY": "N" * DEEP}},
        b"YYYYS" + DEEP.to_bytes(4) + b"N" * DEEP,
        b"YYYYF" + DEEP.to_bytes(4) + _nested(DEEP),
    ),
}
"""Properties, and what is replaced by what in their frame."""


@asynccontextmanager
async def raw_channel(url: str) -> AsyncIterator[aiormq.abc.AbstractChannel]:
    connection = await aiormq.connect(url)
    try:
        yield await connection.channel()
    finally:
        await connection.close()


async def send_frames(url: str, exchange: str, key: str, names: Sequence[str]) -> None:
    """Publish what no client would; it is confirmed, so the broker has taken it."""
    async with raw_channel(url) as channel:
        for name in names:
            properties, old, new = FRAMES[name]
            method = commands.Basic.Publish(exchange=exchange, routing_key=key)
            header = ContentHeader(body_size=1, properties=commands.Basic.Properties(**properties))
            made = ChannelFrame.marshall(channel.number, [method, header, ContentBody(b"x")])
            payload = made.payload.replace(old, new)
            assert payload != made.payload, name
            await channel.write_queue.put(ChannelFrame(payload=payload, should_close=False))
        # Of a channel things are done in order: what follows is answered after them.
        await channel.queue_declare(queue="", passive=False, exclusive=True)


async def test_frames_that_no_client_sends_stop_no_worker(url: str) -> None:
    seen = Seen()
    async with rabbit.connect(url, source="/test") as bus, working(bus, "git-watcher", seen):
        key = names.routing_key(polled(1))
        await send_frames(url, names.COMMANDS, key, list(FRAMES))
        await bus.publish(Draft(message=polled(1)))
        await seen.wait_messages(1)
        letters = await letters_of(bus, len(FRAMES))

    assert all("is no JSON" in one.reason or "'type' is missing" in one.reason for one in letters)


async def test_frames_that_no_client_sends_do_not_end_the_log(url: str) -> None:
    said: Event = ScanFailed(image="web", reason="gone")
    async with rabbit.connect(url, source="/test") as bus:
        await send_frames(url, names.EVENTS, names.routing_key(said), list(FRAMES))
        await bus.publish(Draft(message=said))
        assert [one.message for one in await every(bus)] == [said]
