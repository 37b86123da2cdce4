"""
The twin in memory: a broker for one process, with the same topology and the same rules.

For tests of stages in milliseconds. It keeps what RabbitMQ promises: order within a queue, one
active consumer, redelivery of what was not acknowledged, streams from an offset, no route no
publish. The same contract suite runs on both.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from uuid import uuid4

from shared.bus.client import Client, client
from shared.bus.grants import speaker
from shared.bus.layout import Topology, topology
from shared.bus.port import Pace
from shared.bus.transport import ChannelLostError, Label, Packet, Record, UnroutableError


class MemoryBroker:
    """Holds what was published, for any number of clients."""

    def __init__(self, syncs: Iterable[tuple[str, str]] = ()) -> None:
        self._topology: Topology = topology(syncs)
        self.queues: dict[str, _Queue] = {}
        self.streams: dict[str, _Stream] = {}
        self.listeners: list[tuple[str, str, _Queue]] = []
        for queue in self._topology.queues:
            if queue.arguments["x-queue-type"] == "stream":
                self.streams[queue.name] = _Stream()
            else:
                self.queues[queue.name] = _Queue()

    @asynccontextmanager
    async def connect(
        self, source: str, *, prefetch: int = 200, pace: Pace | None = None
    ) -> AsyncIterator[Client]:
        """Open the bus as *source*."""
        async with client(
            Memory(self, speaker(source)), source, prefetch=prefetch, pace=pace or Pace()
        ) as bus:
            yield bus

    def route(self, packet: Packet) -> bool:
        """Put *packet* wherever a binding takes it; return whether one did."""
        taken = False
        for binding in self._topology.bindings:
            if binding.exchange == packet.exchange and _matches(binding.key, packet.key):
                place = self.queues.get(binding.queue) or self.streams[binding.queue]
                place.put(packet)
                taken = True
        for exchange, key, queue in self.listeners:
            if exchange == packet.exchange and _matches(key, packet.key):
                queue.put(packet)
                taken = True
        return taken

    def drop_channels(self, queue: str) -> None:
        """Play a lost channel: what is unacknowledged on *queue* is delivered again."""
        self.queues[queue].drop()


def _matches(pattern: str, key: str) -> bool:
    if pattern.startswith("#"):
        return key.endswith(pattern[1:])
    prefix, star, _ = pattern.rpartition("*")
    return key.startswith(prefix) and "." not in key[len(prefix) :] if star else pattern == key


def _label(packet: Packet) -> Label:
    return Label(
        exchange=packet.exchange,
        key=packet.key,
        user=packet.user,
        content_type=packet.content_type,
        reply_to=packet.reply_to,
    )


class _Stream:
    """Every packet ever published to it, by its offset."""

    def __init__(self) -> None:
        self.packets: list[Packet] = []
        self._changed = asyncio.Event()

    def put(self, packet: Packet) -> None:
        self.packets.append(packet)
        self._changed.set()
        self._changed = asyncio.Event()

    async def read(self, offset: int | str) -> AsyncGenerator[Record, None]:
        at = {"first": 0, "last": max(len(self.packets) - 1, 0)}.get(str(offset))
        at = int(offset) if at is None else at
        while True:
            while at >= len(self.packets):
                await self._changed.wait()
            packet = self.packets[at]
            yield Record(offset=at, label=_label(packet), headers=packet.headers, body=packet.body)
            at += 1


class _Queue:
    """Messages in order, held by one active consumer at a time."""

    def __init__(self) -> None:
        self.ready: deque[Packet] = deque()
        self.active: _Channel | None = None
        self.waiting: deque[_Channel] = deque()

    def put(self, packet: Packet) -> None:
        self.ready.append(packet)
        if self.active:
            self.active.wake()

    def join(self, channel: "_Channel") -> None:
        self.waiting.append(channel)
        self._elect()

    def leave(self, channel: "_Channel") -> None:
        """Take back what *channel* holds, in order, and let the next one be active."""
        if channel in self.waiting:
            self.waiting.remove(channel)
        if self.active is channel:
            self.ready.extendleft(reversed(channel.held))
            channel.held.clear()
            self.active = None
            self._elect()

    def drop(self) -> None:
        if self.active:
            channel = self.active
            channel.lose("dropped by the test")
            self.leave(channel)

    def _elect(self) -> None:
        if self.active is None and self.waiting:
            self.active = self.waiting.popleft()
            self.active.wake()


class _Channel:
    """One consumer of one queue."""

    def __init__(self, queue: _Queue, prefetch: int) -> None:
        self._queue = queue
        self._prefetch = prefetch
        self._woken = asyncio.Event()
        self._lost: str | None = None
        self.held: list[Packet] = []

    def wake(self) -> None:
        self._woken.set()

    def lose(self, reason: str) -> None:
        self._lost = reason
        self._woken.set()

    async def take(self) -> Sequence["_Delivery"]:
        """Wait for deliveries and return all that are there."""
        while True:
            self._woken.clear()
            if self._lost:
                raise ChannelLostError(self._lost)
            taken = self.deliver()
            if taken:
                return taken
            await self._woken.wait()

    def deliver(self) -> list["_Delivery"]:
        """Return what is there, as far as we may hold it."""
        taken: list[_Delivery] = []
        active = self._queue.active is self
        while active and self._queue.ready and len(self.held) < self._prefetch:
            packet = self._queue.ready.popleft()
            self.held.append(packet)
            taken.append(_Delivery(packet, self))
        return taken

    def settle(self, packet: Packet) -> None:
        """Forget *packet*: it was acknowledged."""
        if self._lost:
            raise ChannelLostError(self._lost)
        self.held = [held for held in self.held if held is not packet]
        self.wake()


@asynccontextmanager
async def _consuming(queue: _Queue, prefetch: int) -> AsyncIterator[_Channel]:
    channel = _Channel(queue, prefetch)
    queue.join(channel)
    try:
        yield channel
    finally:
        channel.lose("closed by us")
        queue.leave(channel)


class _Delivery:
    def __init__(self, packet: Packet, channel: _Channel) -> None:
        self._packet = packet
        self._channel = channel
        self.headers: Mapping[str, object] = packet.headers
        self.body = packet.body
        self.label = _label(packet)

    async def ack(self) -> None:
        """Acknowledge it."""
        self._channel.settle(self._packet)


async def _each(deliveries: Sequence[_Delivery]) -> AsyncGenerator[_Delivery, None]:
    for delivery in deliveries:
        yield delivery


class Memory:
    """Implements `shared.bus.transport.Transport` on a MemoryBroker."""

    def __init__(self, broker: MemoryBroker, user: str) -> None:
        self._broker = broker
        self.user = user
        self.address = f"{user}.{uuid4()}"

    def problems(self) -> Mapping[str, str]:
        """Nothing is ever wrong with memory."""
        return {}

    async def ready(self) -> None:
        """Return at once: memory is always there."""

    async def publish(self, packet: Packet) -> None:
        """Route *packet* at once; what nobody takes is dropped, or refused if mandatory."""
        await asyncio.sleep(0)  # a real broker gives others a turn here
        taken = self._broker.route(replace(packet, user=self.user))
        if not taken and packet.mandatory:
            raise UnroutableError(packet.key)

    @asynccontextmanager
    async def consume(self, queue: str, prefetch: int) -> AsyncIterator[_Channel]:
        """Consume *queue*; what is held comes back to it when the context ends."""
        if queue not in self._broker.queues:
            raise ChannelLostError(f"queue {queue} is missing")
        async with _consuming(self._broker.queues[queue], prefetch) as channel:
            yield channel

    @asynccontextmanager
    async def hold(self, queue: str) -> AsyncIterator[AsyncIterator[_Delivery]]:
        """Give what lies in *queue* now."""
        place = self._broker.queues[queue]
        channel = _Channel(place, len(place.ready))
        place.active, others = channel, place.active
        try:
            async with aclosing(_each(channel.deliver())) as found:
                yield found
        finally:
            place.ready.extendleft(reversed(channel.held))
            place.active = others

    async def depth(self, queue: str) -> int:
        """Return how many messages wait in *queue*."""
        return len(self._broker.queues[queue].ready)

    async def listen(
        self, exchange: str, binding: str, bound: asyncio.Event | None = None
    ) -> AsyncGenerator[_Delivery, None]:
        """Yield what comes from now on and fits *binding*."""
        place = exchange, binding, _Queue()
        self._broker.listeners.append(place)
        if bound:
            bound.set()
        try:
            async with _consuming(place[2], 1) as channel:
                while True:
                    for delivery in await channel.take():
                        await delivery.ack()
                        yield delivery
        finally:
            self._broker.listeners.remove(place)

    async def read(self, stream: str, offset: int | str) -> AsyncGenerator[Record, None]:
        """Yield the records of *stream* from *offset*, for ever."""
        async for record in self._broker.streams[stream].read(offset):
            yield record
