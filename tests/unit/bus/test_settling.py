"""What comes of a message is confirmed by the broker before the message is acknowledged."""

import asyncio
from collections.abc import Sequence

import pytest

from shared.bus.lane import Held
from shared.bus.outages import Outages
from shared.bus.port import Handler, Outcome, Pace
from shared.bus.publisher import Publisher
from shared.bus.settle import Settler
from shared.bus.transport import Label, Packet
from shared.contract import (
    Draft,
    Envelope,
    ImageSpec,
    Message,
    PollRequested,
    ScanCompleted,
    UpdateRequested,
)
from shared.contract.codec import Flaw, MalformedError
from shared.runtime.errors import PermanentError

POLL = PollRequested(repository="git.example.com/apps#main")
ORDER = UpdateRequested(
    repository="git.example.com/apps#main",
    spec=ImageSpec(workloads=("<all>",), image="<all latest>"),
    cause={},
)
EVENT = Draft(message=ScanCompleted(image="web", tags=1, seconds=0, requests=1, found=0))


class Slow:
    """A broker that confirms after a moment, and notes what happened in which order."""

    def __init__(self) -> None:
        self.noted: list[str] = []

    async def publish(self, packet: Packet) -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.noted.append(packet.key.partition(".v1")[0])


class Taken:
    """A delivery of that broker."""

    body = b"{"
    label = Label(exchange="flux.commands", key="poll.requested.v1.0")

    def __init__(self, broker: Slow) -> None:
        self.headers: dict[str, object] = {}
        self._broker = broker

    async def ack(self) -> None:
        self._broker.noted.append("ack")


async def settled(handler: Handler, message: Message) -> list[str]:
    broker = Slow()
    envelope = Draft(message=message).sealed("/test/1")
    held = Held(envelope=envelope, delivery=Taken(broker), queue="git-watcher.0")
    await _settler(broker, handler).settle(envelope.subject, [held])
    return broker.noted


def _settler(broker: Slow, handler: Handler) -> Settler:
    publisher, pace = Publisher(broker, "/test/1"), Pace(tries=(0.0, 0.0))
    outages = Outages("git-watcher", publisher, pace)
    return Settler("git-watcher", handler, publisher, outages, pace, window=None, parallel=1)


async def tells(_: str, __: Sequence[Envelope]) -> Outcome:
    return Outcome(events=(EVENT,))


async def refuses(_: str, __: Sequence[Envelope]) -> Outcome:
    raise PermanentError("not today")


async def breaks(_: str, __: Sequence[Envelope]) -> Outcome:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("handler", "message", "noted"),
    [
        (tells, POLL, ["scan.completed", "ack"]),
        (tells, ORDER, ["order.accepted", "scan.completed", "order.completed", "ack"]),
        (refuses, ORDER, ["order.accepted", "order.rejected", "ack"]),
        (refuses, POLL, ["poll.requested", "ack"]),  # a dead letter
        (breaks, POLL, ["poll.requested", "ack"]),
    ],
)
async def test_a_message_is_acknowledged_last(
    handler: Handler, message: Message, noted: list[str]
) -> None:
    assert await settled(handler, message) == noted


async def test_what_cannot_be_read_is_acknowledged_when_it_is_buried() -> None:
    broker = Slow()
    error = MalformedError(Flaw.BODY, "it is no JSON")
    await _settler(broker, tells).bury_unreadable(Taken(broker), error, queue="git-watcher.0")
    assert broker.noted == ["unreadable", "ack"]
