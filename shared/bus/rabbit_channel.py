"""
What one channel to RabbitMQ delivers; it ends with the channel, and brings nobody else down.

Deliveries are taken from aiormq, below aio_pika, whose own work on each takes as long as ours.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress

import aiormq.exceptions
from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic
from pamqp.common import Arguments

from shared.bus.rabbit_link import BROKEN, lost_in_a_call
from shared.bus.transport import ChannelLostError, Label
from shared.runtime.tasks import to_its_end


async def opened(connection: AbstractConnection, prefetch: int) -> AbstractChannel:
    """
    Open a channel.

    To its end, as every call: of one that is given up in the middle, aiormq closes the channel,
    and the broker ends the whole connection for a channel that is closed before it is open.

    Raises:
        ChannelLostError: the broker is away.
    """
    try:
        channel = connection.channel(publisher_confirms=False)
        return await _initialized(channel, prefetch)
    except BROKEN as error:
        raise ChannelLostError(f"broker: {error}") from error


async def _initialized(channel: AbstractChannel, prefetch: int) -> AbstractChannel:
    try:
        with lost_in_a_call():
            await to_its_end(_open(channel, prefetch))
    except asyncio.CancelledError:
        await close(channel)
        raise
    return channel


async def _open(channel: AbstractChannel, prefetch: int) -> None:
    await channel.initialize()
    await channel.set_qos(prefetch)


class Delivery:
    """A message that RabbitMQ delivered on one channel."""

    def __init__(self, message: DeliveredMessage) -> None:
        self._message = message
        self.acked = False
        properties = message.header.properties
        self.headers: Mapping[str, object] = properties.headers or {}
        self.body = message.body
        self.label = Label(
            exchange=message.exchange or "",
            key=message.routing_key or "",
            user=properties.user_id,
            content_type=properties.content_type,
            content_encoding=properties.content_encoding,
            reply_to=properties.reply_to,
        )

    async def ack(self) -> None:
        """Acknowledge it on its own channel, or say that this is gone."""
        await self._ack(multiple=False)

    async def ack_all(self) -> None:
        """Acknowledge it and all that came before it on its channel."""
        await self._ack(multiple=True)

    async def _ack(self, *, multiple: bool) -> None:
        try:
            with lost_in_a_call():
                await self._message.channel.basic_ack(self._message.delivery_tag or 0, multiple)
        except BROKEN as error:
            raise ChannelLostError(f"broker: {error}") from error
        self.acked = True


class Subscription:
    """What one channel has delivered and nobody took yet; ends with the channel."""

    def __init__(self, channel: AbstractChannel) -> None:
        self._deliveries: list[Delivery] = []
        self._changed = asyncio.Event()
        self._lost: str | None = None
        channel.close_callbacks.add(self._closed)

    async def put(self, message: DeliveredMessage) -> None:
        """Note a delivery; it is handled by whoever takes it, not in aiormq's callback."""
        self._deliveries.append(Delivery(message))
        self._changed.set()

    async def take(self) -> Sequence[Delivery]:
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


async def consume(
    channel: AbstractChannel,
    queue: str,
    subscription: Subscription,
    *,
    no_ack: bool = False,
    arguments: Arguments = None,
) -> None:
    """
    Have what *queue* holds put into *subscription*.

    Raises:
        ChannelLostError: there is no such queue, or the broker is away.
    """
    try:
        with lost_in_a_call():
            below = await channel.get_underlay_channel()
            await to_its_end(
                below.basic_consume(queue, subscription.put, no_ack=no_ack, arguments=arguments)
            )
    except aiormq.exceptions.ChannelNotFoundEntity as error:
        raise ChannelLostError(
            f"queue {queue} is missing; run `python -m shared.bus.topology` with your flux.yaml"
        ) from error
    except BROKEN as error:
        raise ChannelLostError(f"broker: {error}") from error


async def depth(channel: AbstractChannel, queue: str) -> int:
    """
    Return how many messages wait in *queue*.

    Raises:
        ChannelLostError: there is no such queue, or the broker is away.
    """
    try:
        found = await channel.get_queue(queue)
    except BROKEN as error:
        raise ChannelLostError(f"queue {queue}: {error}") from error
    return found.declaration_result.message_count or 0


class Holding:
    """Messages of a queue that are looked at on one channel."""

    def __init__(self, channel: AbstractChannel, queue: str) -> None:
        self._channel = channel
        self._queue = queue
        self.kept = 0
        """So many were left as they are, and go back with the end of the channel."""

    async def deliveries(self) -> AsyncGenerator[Delivery, None]:
        """
        Yield as many messages as there are at the beginning, one by one.

        Raises:
            ChannelLostError: there is no such queue, or the broker is away.
        """
        try:
            below = await self._channel.get_underlay_channel()
            for _ in range(await depth(self._channel, self._queue)):
                message = await below.basic_get(self._queue)
                if isinstance(message.delivery, Basic.GetEmpty):
                    return
                delivery = Delivery(message)
                try:
                    yield delivery
                finally:
                    self.kept += not delivery.acked
        except BROKEN as error:
            raise ChannelLostError(f"queue {self._queue}: {error}") from error


async def close(channel: AbstractChannel) -> None:
    """Close *channel*; one whose connection is gone is closed already."""
    with suppress(*BROKEN), lost_in_a_call():
        await to_its_end(channel.close())
