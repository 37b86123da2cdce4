"""
RabbitMQ behind the bus; nobody but the modules of this name imports aio_pika.

Not aio_pika's robust connections: they reconnect at a fixed interval and cancel what runs. Here a
lost connection ends the epoch of everything on it, and is opened again with jitter. Publishing and
consuming have a connection each: under a memory alarm the broker blocks the one that publishes.
`rabbit_link` keeps a connection, `rabbit_out` publishes, `rabbit_channel` is what is delivered,
`rabbit_wire` what is decoded.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from uuid import uuid4

from aio_pika.abc import AbstractChannel

from shared.bus import names, rabbit_channel, rabbit_wire
from shared.bus.client import Client, client
from shared.bus.grants import speaker
from shared.bus.port import Pace
from shared.bus.rabbit_channel import Delivery, Holding, Subscription
from shared.bus.rabbit_link import BROKEN, Link, lost_in_a_call, nodes
from shared.bus.rabbit_out import Outbox
from shared.bus.transport import ChannelLostError, Packet, Record

CONFIRM_TIMEOUT = 30.0
"""Seconds after which an unconfirmed publish is told as blocked, and sent again."""
STREAM_PREFETCH = 200
REMEMBERS = 10.0
"""Seconds for a stream to show, after a lost connection, the record that was read last."""
RETURNED = 100
"""Looks, 0.05 s apart, for a queue to have back what was held."""
LOST = (*BROKEN, ChannelLostError)


@asynccontextmanager
async def connect(
    amqp_url: str,
    *,
    source: str,
    prefetch: int = 200,
    confirm: float = CONFIRM_TIMEOUT,
    pace: Pace | None = None,
) -> AsyncIterator[Client]:
    """Open the bus on the broker at *amqp_url*, as *source* (`/<service>/<replica>`)."""
    async with (
        transport(amqp_url, source=source, confirm=confirm) as rabbit,
        client(rabbit, source, prefetch=prefetch, pace=pace or Pace()) as bus,
    ):
        yield bus


@asynccontextmanager
async def transport(
    amqp_url: str, *, source: str, confirm: float = CONFIRM_TIMEOUT
) -> AsyncIterator["Rabbit"]:
    """Open what the bus rests upon."""
    rabbit_wire.tolerate()
    async with (
        Link.open(amqp_url, f"{source} out", tells=False) as out,
        Link.open(amqp_url, f"{source} in", tells=True) as into,
    ):
        user = nodes(amqp_url)[0].user or "guest"
        yield Rabbit(Outbox(out, user, confirm=confirm), out, into, speaker(source), user)


class Rabbit:
    """Implements `shared.bus.transport.Transport`."""

    def __init__(self, outbox: Outbox, out: Link, into: Link, service: str, user: str) -> None:
        self._outbox = outbox
        self._out = out
        self._into = into
        self._service = service
        self._unread: dict[str, str] = {}
        """The exchanges and streams that can't be read now, and why."""
        self.user = user
        self.address = f"{service}.{uuid4()}"

    def problems(self) -> Mapping[str, str]:
        """Return whether the broker is away or blocks us."""
        problems = {
            "broker": self._into.problem or self._out.problem,
            "publishing": self._outbox.blocked,
            **{f"publish {key}": said for key, said in self._outbox.forbidden.items()},
            **self._unread,
        }
        return {name: problem for name, problem in problems.items() if problem}

    async def ready(self) -> None:
        """Wait until the connection that consumes is open."""
        await self._into.connection()

    async def publish(self, packet: Packet) -> None:
        """Publish until confirmed."""
        await self._outbox.publish(packet)

    @asynccontextmanager
    async def consume(self, queue: str, prefetch: int) -> AsyncIterator[Subscription]:
        """Open a channel that consumes *queue*."""
        channel = await self._open(prefetch)
        subscription = Subscription(channel)
        try:
            await rabbit_channel.consume(channel, queue, subscription)
            yield subscription
        finally:
            await rabbit_channel.close(channel)

    @asynccontextmanager
    async def hold(self, queue: str) -> AsyncIterator[AsyncIterator[Delivery]]:
        """Give what lies in *queue* now; a channel that ends gives back what it holds."""
        channel = await self._open(1)
        holding = Holding(channel, queue)
        try:
            async with aclosing(holding.deliveries()) as found:
                yield found
        finally:
            await rabbit_channel.close(channel)
        # Whoever looks next must see them; the broker gives them back when it comes to it.
        for _ in range(RETURNED):
            if await self.depth(queue) >= holding.kept:
                return
            await asyncio.sleep(0.05)

    async def depth(self, queue: str) -> int:
        """Return how many messages wait in *queue*."""
        channel = await self._open(1)
        try:
            return await rabbit_channel.depth(channel, queue)
        finally:
            await rabbit_channel.close(channel)

    async def listen(
        self, exchange: str, binding: str, bound: asyncio.Event | None = None
    ) -> AsyncGenerator[Delivery, None]:
        """Yield what fits *binding*; its queue lives as long as the connection."""
        while True:
            try:
                channel = await self._open(STREAM_PREFETCH)
                subscription = Subscription(channel)
                # A new name for each: one that is reused waits for the broker to miss the old one.
                with lost_in_a_call():
                    queue = await channel.declare_queue(
                        names.own_queue(self._service, exchange, binding),
                        exclusive=True,
                        auto_delete=True,
                    )
                    await queue.bind(exchange, binding)
                await rabbit_channel.consume(channel, queue.name, subscription, no_ack=True)
                self._unread.pop(exchange, None)
                if bound:
                    bound.set()
                while True:
                    for delivery in await subscription.take():
                        yield delivery
            except LOST as error:
                self._unread[exchange] = str(error)
                await self._into.wait_changed(error)

    async def read(self, stream: str, offset: int | str) -> AsyncGenerator[Record, None]:
        """Yield records from *offset*; after a lost connection go on behind the last one."""
        last: Record | None = None
        while True:
            try:
                if last is not None:
                    offset = last.offset + 1 if await self._holds(stream, last) else "first"
                async for record in self._records(stream, offset):
                    last = record
                    yield record
            except LOST as error:
                self._unread[stream] = str(error)
                await self._into.wait_changed(error)

    async def _holds(self, stream: str, last: Record) -> bool:
        """
        Tell whether *stream* still has that record in its place.

        A broker that lost its data counts from zero again: waiting for what comes behind the old
        place would be to miss all that is new.
        """
        with suppress(TimeoutError):
            async with (
                asyncio.timeout(REMEMBERS),
                aclosing(self._records(stream, last.offset)) as found,
            ):
                async for record in found:
                    return record == last
        return False

    async def _records(self, stream: str, offset: int | str) -> AsyncGenerator[Record, None]:
        channel = await self._open(STREAM_PREFETCH)
        subscription = Subscription(channel)
        try:
            await rabbit_channel.consume(
                channel, stream, subscription, arguments={"x-stream-offset": offset}
            )
            self._unread.pop(stream, None)
            while True:
                deliveries = await subscription.take()
                await deliveries[-1].ack_all()  # credit for more, nothing else
                for delivery in deliveries:
                    at = int(str(delivery.headers.get("x-stream-offset", 0)))
                    # A chunk is sent whole, so its first records may lie before the offset.
                    if not isinstance(offset, int) or at >= offset:
                        yield Record(
                            offset=at,
                            label=delivery.label,
                            headers=_texts(delivery.headers),
                            body=delivery.body,
                        )
        finally:
            await rabbit_channel.close(channel)

    async def _open(self, prefetch: int) -> AbstractChannel:
        try:
            connection = self._into.current()
        except BROKEN as error:
            raise ChannelLostError(f"broker: {error}") from error
        return await rabbit_channel.opened(connection, prefetch)


def _texts(headers: Mapping[str, object]) -> Mapping[str, str]:
    return {key: str(value) for key, value in headers.items()}
