"""
The twin in memory: a broker for one process, with the same topology and the same rules.

For tests of stages in milliseconds. It keeps what RabbitMQ promises: order within a queue, one
active consumer, redelivery of what was not acknowledged, streams from an offset, no route no
publish. The same contract suite runs on both.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from uuid import uuid4

from shared.bus.client import Client, client
from shared.bus.grants import speaker
from shared.bus.layout import Topology, topology
from shared.bus.memory_queues import Channel, Delivery, Queue, Stream, consuming
from shared.bus.port import Pace
from shared.bus.transport import ChannelLostError, Packet, Record, UnroutableError


class MemoryBroker:
    """Holds what was published, for any number of clients."""

    def __init__(self, syncs: Iterable[tuple[str, str]] = ()) -> None:
        self._topology: Topology = topology(syncs)
        self.queues: dict[str, Queue] = {}
        self.streams: dict[str, Stream] = {}
        self.listeners: list[tuple[str, str, Queue]] = []
        for queue in self._topology.queues:
            if queue.arguments["x-queue-type"] == "stream":
                self.streams[queue.name] = Stream()
            else:
                self.queues[queue.name] = Queue()

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


async def _each(deliveries: Sequence[Delivery]) -> AsyncGenerator[Delivery, None]:
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
    async def consume(self, queue: str, prefetch: int) -> AsyncIterator[Channel]:
        """Consume *queue*; what is held comes back to it when the context ends."""
        if queue not in self._broker.queues:
            raise ChannelLostError(f"queue {queue} is missing")
        async with consuming(self._broker.queues[queue], prefetch) as channel:
            yield channel

    @asynccontextmanager
    async def hold(self, queue: str) -> AsyncIterator[AsyncIterator[Delivery]]:
        """Give what lies in *queue* now."""
        place = self._broker.queues[queue]
        channel = Channel(place, len(place.ready))
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
    ) -> AsyncGenerator[Delivery, None]:
        """Yield what comes from now on and fits *binding*."""
        place = exchange, binding, Queue()
        self._broker.listeners.append(place)
        if bound:
            bound.set()
        try:
            async with consuming(place[2], 1) as channel:
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
