"""
RabbitMQ behind the bus: the only module that imports aio_pika.

Not aio_pika's robust connections: they reconnect at a fixed interval and cancel what runs. Here a
lost connection ends the epoch of everything on it, and is opened again with jitter. Publishing and
consuming have a connection each: under a memory alarm the broker blocks the one that publishes.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

import aio_pika
import aiormq.exceptions
import structlog
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractIncomingMessage
from pamqp.common import Arguments

from shared.bus.client import Client, client
from shared.bus.rabbit_link import BROKEN, Link
from shared.bus.transport import ChannelLostError, Packet, Record, UnroutableError

logger = structlog.get_logger(__name__)

CONFIRM_TIMEOUT = 30.0
"""Seconds after which an unconfirmed publish is told as blocked, and sent again."""
REFUSED = 1.0
"""Seconds before what the broker refused is sent again."""
STREAM_PREFETCH = 200
LOST = (*BROKEN, ChannelLostError)


@asynccontextmanager
async def connect(
    amqp_url: str, *, source: str, prefetch: int = 200, confirm: float = CONFIRM_TIMEOUT
) -> AsyncIterator[Client]:
    """Open the bus on the broker at *amqp_url*, as *source* (`/<service>/<replica>`)."""
    async with (
        Link.open(amqp_url, f"{source} out", tells=False) as out,
        Link.open(amqp_url, source, tells=True) as into,
    ):
        rabbit = Rabbit(out, into, confirm=confirm)
        async with client(rabbit, source, prefetch=prefetch) as bus:
            yield bus


class Rabbit:
    """Implements `shared.bus.transport.Transport`."""

    def __init__(self, out: Link, into: Link, *, confirm: float) -> None:
        self._confirm = confirm
        self._out = out
        self._into = into
        self._channel: AbstractChannel | None = None
        self._exchanges: dict[str, AbstractExchange] = {}
        self._opening = asyncio.Lock()
        self._blocked = ""
        self.address = str(uuid4())

    def problems(self) -> Mapping[str, str]:
        """Return whether the broker is away or blocks us."""
        problems = {"broker": self._into.problem or self._out.problem, "publishing": self._blocked}
        return {name: problem for name, problem in problems.items() if problem}

    async def ready(self) -> None:
        """Wait until the connection that consumes is open."""
        await self._into.connection()

    async def publish(self, packet: Packet) -> None:
        """Publish until confirmed, under the same id across lost connections."""
        message = _message(packet)
        while True:
            channel = self._channel
            try:
                exchange = await self._exchange(packet.exchange)
                channel = self._channel
                await exchange.publish(
                    message, packet.key, mandatory=packet.mandatory, timeout=self._confirm
                )
            except aiormq.exceptions.PublishError as error:
                unroutable = UnroutableError(packet.key)
                if not packet.patient:
                    raise unroutable from error
                self._blocked = unroutable.reason
                await asyncio.sleep(REFUSED)
            except TimeoutError:
                self._blocked = f"no confirm within {self._confirm:g} s; look for a broker alarm"
            except aiormq.exceptions.DeliveryError:
                self._blocked = "the broker refuses: a queue is full, or has no leader"
                await asyncio.sleep(REFUSED)
                await self._renew(channel)
            except BROKEN as error:
                await self._out.wait_changed(error)
            else:
                self._blocked = ""
                return

    @asynccontextmanager
    async def consume(self, queue: str, prefetch: int) -> AsyncIterator["_Subscription"]:
        """Open a channel that consumes *queue*."""
        channel = await self._open(prefetch)
        subscription = _Subscription(channel)
        try:
            await _consume(channel, queue, subscription.put)
            yield subscription
        finally:
            with suppress(*BROKEN):
                await channel.close()

    @asynccontextmanager
    async def hold(self, queue: str, limit: int) -> AsyncIterator[Sequence["_Delivery"]]:
        """Hold the first *limit* messages of *queue*."""
        channel = await self._open(limit)
        try:
            yield [_Delivery(message) async for message in _got(channel, queue, limit)]
        finally:
            with suppress(*BROKEN):
                await channel.close()

    async def listen(self, exchange: str, key: str) -> AsyncGenerator["_Delivery", None]:
        """Yield what comes under *key*; its queue lives as long as the connection."""
        while True:
            try:
                channel = await self._open(STREAM_PREFETCH)
                subscription = _Subscription(channel)
                # A new name for each: one that is reused waits for the broker to miss the old one.
                queue = await channel.declare_queue(
                    f"{exchange}.{uuid4()}", exclusive=True, auto_delete=True
                )
                await queue.bind(exchange, key)
                await queue.consume(subscription.put, no_ack=True)
                while True:
                    for delivery in await subscription.take():
                        yield delivery
            except LOST as error:
                await self._into.wait_changed(error)

    async def read(self, stream: str, offset: int | str) -> AsyncGenerator[Record, None]:
        """Yield records from *offset*; after a lost connection go on behind the last one."""
        while True:
            try:
                async for record in self._records(stream, offset):
                    offset = record.offset + 1
                    yield record
            except LOST as error:
                await self._into.wait_changed(error)

    async def _records(self, stream: str, offset: int | str) -> AsyncGenerator[Record, None]:
        channel = await self._open(STREAM_PREFETCH)
        subscription = _Subscription(channel)
        try:
            await _consume(channel, stream, subscription.put, {"x-stream-offset": offset})
            while True:
                for delivery in await subscription.take():
                    await delivery.ack()  # credit for more, nothing else
                    at = int(str(delivery.headers.get("x-stream-offset", 0)))
                    # A chunk is sent whole, so its first records may lie before the offset.
                    if not isinstance(offset, int) or at >= offset:
                        yield Record(
                            offset=at, headers=_texts(delivery.headers), body=delivery.body
                        )
        finally:
            with suppress(*BROKEN):
                await channel.close()

    async def _open(self, prefetch: int) -> AbstractChannel:
        try:
            channel = await self._into.current().channel(publisher_confirms=False)
            await channel.set_qos(prefetch)
        except BROKEN as error:
            raise ChannelLostError(f"broker: {error}") from error
        return channel

    async def _renew(self, channel: AbstractChannel | None) -> None:
        """
        Publish on a new channel from now on.

        RabbitMQ 3.10 may go on asking a node that died who leads a queue, for as long as the
        channel lives on which it did so first, and refuses meanwhile.
        """
        if channel is None or channel is not self._channel:
            return
        self._channel = None
        with suppress(*BROKEN):
            await channel.close()

    async def _exchange(self, name: str) -> AbstractExchange:
        async with self._opening:
            if self._channel is None or self._channel.is_closed:
                connection = await self._out.connection()
                self._exchanges.clear()
                self._channel = await connection.channel(on_return_raises=True)
            if name not in self._exchanges:
                self._exchanges[name] = await self._channel.get_exchange(name, ensure=False)
            return self._exchanges[name]


class _Delivery:
    """A message that RabbitMQ delivered on one channel."""

    def __init__(self, message: AbstractIncomingMessage) -> None:
        self._message = message
        self.headers: Mapping[str, object] = message.headers
        self.body = message.body
        self.reply_to = message.reply_to

    async def ack(self) -> None:
        """Acknowledge it on its own channel, or say that this is gone."""
        try:
            await self._message.ack()
        except BROKEN as error:
            raise ChannelLostError(f"broker: {error}") from error


class _Subscription:
    """What one channel has delivered and nobody took yet; ends with the channel."""

    def __init__(self, channel: AbstractChannel) -> None:
        self._deliveries: list[_Delivery] = []
        self._changed = asyncio.Event()
        self._lost: str | None = None
        channel.close_callbacks.add(self._closed)

    async def put(self, message: AbstractIncomingMessage) -> None:
        """Note a delivery; it is handled by whoever takes it, not in aio_pika's callback."""
        self._deliveries.append(_Delivery(message))
        self._changed.set()

    async def take(self) -> Sequence[_Delivery]:
        """Wait for deliveries and return all that are there."""
        await self._changed.wait()
        if self._lost is not None:
            raise ChannelLostError(self._lost)
        self._changed.clear()
        taken, self._deliveries = self._deliveries, []
        return taken

    def _closed(self, _: object, error: BaseException | None) -> None:
        self._lost = f"channel closed: {error or 'by us'}"
        self._changed.set()


async def _consume(
    channel: AbstractChannel,
    queue: str,
    callback: Callable[[AbstractIncomingMessage], Awaitable[None]],
    arguments: Arguments = None,
) -> None:
    try:
        found = await channel.get_queue(queue, ensure=False)
        await found.consume(callback, arguments=arguments)
    except aiormq.exceptions.ChannelNotFoundEntity as error:
        raise ChannelLostError(
            f"queue {queue} is missing; run `python -m shared.bus.topology` with your flux.yaml"
        ) from error
    except BROKEN as error:
        raise ChannelLostError(f"broker: {error}") from error


async def _got(
    channel: AbstractChannel, queue: str, limit: int
) -> AsyncIterator[AbstractIncomingMessage]:
    try:
        found = await channel.get_queue(queue, ensure=False)
        for _ in range(limit):
            message = await found.get(fail=False)
            if message is None:
                return
            yield message
    except BROKEN as error:
        raise ChannelLostError(f"queue {queue}: {error}") from error


def _message(packet: Packet) -> aio_pika.Message:
    return aio_pika.Message(
        packet.body,
        headers=dict(packet.headers),
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=packet.id,
        correlation_id=packet.correlation_id,
        reply_to=packet.reply_to,
        expiration=packet.expires,
    )


def _texts(headers: Mapping[str, object]) -> Mapping[str, str]:
    return {key: str(value) for key, value in headers.items()}
