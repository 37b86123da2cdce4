"""
What the bus asks of a broker: publish with confirms, consume one queue at a time, read streams.

Small on purpose, so that RabbitMQ and the twin in memory differ in nothing else.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from shared.runtime.errors import FluxError, TemporaryError


class ChannelLostError(FluxError):
    """The channel of an epoch is gone: nothing of it may be published or acknowledged."""


class UnroutableError(TemporaryError):
    """No queue takes this: the topology was not declared, or not again after a change."""

    def __init__(self, key: str) -> None:
        super().__init__(
            "broker topology",
            f"no queue takes {key!r}; run `python -m shared.bus.topology` with your flux.yaml",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """A message as the broker sees it."""

    exchange: str
    key: str
    id: str
    headers: Mapping[str, str]
    body: bytes
    user: str | None = None
    """Filled in by whoever hands it to the broker: who we are there."""
    content_type: str = "application/json"
    correlation_id: str | None = None
    reply_to: str | None = None
    mandatory: bool = False
    """Refuse it where no queue takes it ..."""
    patient: bool = False
    """... or, with both, send it again until one does: a stream whose node just died takes nothing
    for a moment, and a broker confirms what nobody takes."""
    course: str = ""
    """All of one course goes to the same streams; empty where it goes to none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What is written on a message beside its headers; anybody may have written it, but *user*."""

    exchange: str
    key: str
    user: str | None = None
    """Who published it, as the broker has checked; None where nobody was named."""
    content_type: str | None = None
    content_encoding: str | None = None
    reply_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One entry of a stream."""

    offset: int
    """Ascends, with gaps. Where to go on reading: *offset* + 1."""
    label: Label
    headers: Mapping[str, str]
    body: bytes


class Delivery(Protocol):
    """A message held, until it is acknowledged or its channel is closed."""

    @property
    def headers(self) -> Mapping[str, object]:
        """As they came from the wire: of any type."""

    @property
    def body(self) -> bytes:
        """The content."""

    @property
    def label(self) -> Label:
        """What is written on it."""

    async def ack(self) -> None:
        """
        Acknowledge it.

        Raises:
            ChannelLostError: it will be delivered again.
        """


class Subscription(Protocol):
    """One channel that consumes one queue."""

    async def take(self) -> Sequence[Delivery]:
        """
        Wait for deliveries and return all that are there.

        Raises:
            ChannelLostError: the channel is gone.
        """


class Transport(Protocol):
    """A connection to a broker that mends itself."""

    @property
    def address(self) -> str:
        """Where replies to us go."""

    @property
    def user(self) -> str | None:
        """Who we are at the broker; everything that we publish carries it."""

    async def ready(self) -> None:
        """Wait until the broker is there; it may be gone again at once."""

    async def publish(self, packet: Packet) -> None:
        """
        Publish, and return when the broker has confirmed it; repeat it until then.

        Raises:
            UnroutableError: it is mandatory, and no queue takes it.
        """

    def consume(self, queue: str, prefetch: int) -> AbstractAsyncContextManager[Subscription]:
        """
        Open a channel that consumes *queue*; leaving the context closes it.

        Raises:
            ChannelLostError: the queue is missing or the broker is away.
        """

    def hold(self, queue: str) -> AbstractAsyncContextManager[AsyncIterator[Delivery]]:
        """
        Give what lies in *queue* now, one by one; what is not acknowledged goes back at the end.

        Raises:
            ChannelLostError: the queue is missing or the broker is away.
        """

    async def depth(self, queue: str) -> int:
        """
        Return how many messages wait in *queue*.

        Raises:
            ChannelLostError: the queue is missing or the broker is away.
        """

    def listen(
        self, exchange: str, binding: str, bound: asyncio.Event | None = None
    ) -> AsyncGenerator[Delivery, None]:
        """
        Yield what is published to *exchange* from now on and fits; nothing is kept for us.

        *bound* is set as soon as that is so.
        """

    def read(self, stream: str, offset: int | str) -> AsyncGenerator[Record, None]:
        """Yield the records of *stream*, for ever."""

    def problems(self) -> Mapping[str, str]:
        """Return what is wrong now."""
