"""
What the twin in memory is made of: queues with one active consumer at a time, and streams.

Read `memory` for how they are one broker.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from shared.bus.transport import ChannelLostError, Label, Packet, Record


def label(packet: Packet) -> Label:
    """Return what is written on *packet*."""
    return Label(
        exchange=packet.exchange,
        key=packet.key,
        user=packet.user,
        content_type=packet.content_type,
        reply_to=packet.reply_to,
    )


class Stream:
    """Every packet ever published to it, by its offset."""

    def __init__(self) -> None:
        self.packets: list[Packet] = []
        self._changed = asyncio.Event()

    def put(self, packet: Packet) -> None:
        """Append *packet*."""
        self.packets.append(packet)
        self._changed.set()
        self._changed = asyncio.Event()

    async def read(self, offset: int | str) -> AsyncGenerator[Record, None]:
        """Yield the records from *offset*, for ever."""
        at = {"first": 0, "last": max(len(self.packets) - 1, 0)}.get(str(offset))
        at = int(offset) if at is None else at
        while True:
            while at >= len(self.packets):
                await self._changed.wait()
            packet = self.packets[at]
            yield Record(offset=at, label=label(packet), headers=packet.headers, body=packet.body)
            at += 1


class Queue:
    """Messages in order, held by one active consumer at a time."""

    def __init__(self) -> None:
        self.ready: deque[Packet] = deque()
        self.active: Channel | None = None
        self.waiting: deque[Channel] = deque()

    def put(self, packet: Packet) -> None:
        """Add *packet* behind the others."""
        self.ready.append(packet)
        if self.active:
            self.active.wake()

    def join(self, channel: "Channel") -> None:
        """Let *channel* consume, behind the others."""
        self.waiting.append(channel)
        self._elect()

    def leave(self, channel: "Channel") -> None:
        """Take back what *channel* holds, in order, and let the next one be active."""
        if channel in self.waiting:
            self.waiting.remove(channel)
        if self.active is channel:
            self.ready.extendleft(reversed(channel.held))
            channel.held.clear()
            self.active = None
            self._elect()

    def drop(self) -> None:
        """Have the active channel be lost."""
        if self.active:
            channel = self.active
            channel.lose("dropped by the test")
            self.leave(channel)

    def _elect(self) -> None:
        if self.active is None and self.waiting:
            self.active = self.waiting.popleft()
            self.active.wake()


class Channel:
    """One consumer of one queue."""

    def __init__(self, queue: Queue, prefetch: int) -> None:
        self._queue = queue
        self._prefetch = prefetch
        self._woken = asyncio.Event()
        self._lost: str | None = None
        self.held: list[Packet] = []

    def wake(self) -> None:
        """Have it look for deliveries."""
        self._woken.set()

    def lose(self, reason: str) -> None:
        """Give up what it holds; *reason* is told to whoever uses it."""
        self._lost = reason
        self._woken.set()

    async def take(self) -> Sequence["Delivery"]:
        """Wait for deliveries and return all that are there."""
        while True:
            self._woken.clear()
            if self._lost:
                raise ChannelLostError(self._lost)
            taken = self.deliver()
            if taken:
                return taken
            await self._woken.wait()

    def deliver(self) -> list["Delivery"]:
        """Return what is there, as far as we may hold it."""
        taken: list[Delivery] = []
        active = self._queue.active is self
        while active and self._queue.ready and len(self.held) < self._prefetch:
            packet = self._queue.ready.popleft()
            self.held.append(packet)
            taken.append(Delivery(packet, self))
        return taken

    def settle(self, packet: Packet) -> None:
        """Forget *packet*: it was acknowledged."""
        if self._lost:
            raise ChannelLostError(self._lost)
        self.held = [held for held in self.held if held is not packet]
        self.wake()


@asynccontextmanager
async def consuming(queue: Queue, prefetch: int) -> AsyncIterator[Channel]:
    """Consume *queue* for the length of the block."""
    channel = Channel(queue, prefetch)
    queue.join(channel)
    try:
        yield channel
    finally:
        channel.lose("closed by us")
        queue.leave(channel)


class Delivery:
    """A message in hand."""

    def __init__(self, packet: Packet, channel: Channel) -> None:
        self._packet = packet
        self._channel = channel
        self.headers: Mapping[str, object] = packet.headers
        self.body = packet.body
        self.label = label(packet)

    async def ack(self) -> None:
        """Acknowledge it."""
        self._channel.settle(self._packet)
