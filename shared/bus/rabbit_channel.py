"""What one channel to RabbitMQ delivers; it ends with the channel, and brings nobody else down."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

import aiormq.exceptions
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from pamqp.common import Arguments

from shared.bus.rabbit_link import BROKEN
from shared.bus.transport import ChannelLostError, Label


class Delivery:
    """A message that RabbitMQ delivered on one channel."""

    def __init__(self, message: AbstractIncomingMessage) -> None:
        self._message = message
        self.headers: Mapping[str, object] = message.headers
        self.body = message.body
        self.label = Label(
            exchange=message.exchange or "",
            key=message.routing_key or "",
            user=message.user_id,
            content_type=message.content_type,
            content_encoding=message.content_encoding,
            reply_to=message.reply_to,
        )

    async def ack(self) -> None:
        """Acknowledge it on its own channel, or say that this is gone."""
        try:
            await self._message.ack()
        except BROKEN as error:
            raise ChannelLostError(f"broker: {error}") from error


class Subscription:
    """What one channel has delivered and nobody took yet; ends with the channel."""

    def __init__(self, channel: AbstractChannel) -> None:
        self._deliveries: list[Delivery] = []
        self._changed = asyncio.Event()
        self._lost: str | None = None
        channel.close_callbacks.add(self._closed)

    async def put(self, message: AbstractIncomingMessage) -> None:
        """Note a delivery; it is handled by whoever takes it, not in aio_pika's callback."""
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
    callback: Callable[[AbstractIncomingMessage], Awaitable[None]],
    arguments: Arguments = None,
) -> None:
    """
    Have what *queue* holds handed to *callback*.

    Raises:
        ChannelLostError: there is no such queue, or the broker is away.
    """
    try:
        found = await channel.get_queue(queue, ensure=False)
        await found.consume(callback, arguments=arguments)
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


async def got(
    channel: AbstractChannel, queue: str, limit: int
) -> AsyncIterator[AbstractIncomingMessage]:
    """
    Yield the first *limit* messages of *queue*, one by one, as far as there are any.

    Raises:
        ChannelLostError: there is no such queue, or the broker is away.
    """
    try:
        found = await channel.get_queue(queue, ensure=False)
        for _ in range(limit):
            message = await found.get(fail=False)
            if message is None:
                return
            yield message
    except BROKEN as error:
        raise ChannelLostError(f"queue {queue}: {error}") from error
