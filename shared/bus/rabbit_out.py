"""
Publishing to RabbitMQ: again and again under one id, until the broker has confirmed it.

To a cluster each course (what goes to the same streams) has a channel of its own. When the leader
of a stream dies, RabbitMQ 3.10 sends again what it had not confirmed, but numbered as the channel
counts, not as the stream does: those are never confirmed, and as many of the next ones are taken
for doubles, confirmed, and thrown away. Where a channel publishes to nothing else the two agree.
"""

import asyncio
from contextlib import suppress

import aio_pika
import aiormq.exceptions
import structlog
from aio_pika.abc import AbstractChannel
from prometheus_client import Counter

from shared.bus.rabbit_link import BROKEN, Link, lost_in_a_call
from shared.bus.transport import Packet, UnroutableError

logger = structlog.get_logger(__name__)

REFUSED = 1.0
"""Seconds before what the broker refused is sent again."""
MOST = 500
"""Channels that are kept; the broker allows 2,047."""

REFUSALS = Counter("flux_bus_refused_total", "Publishes that the broker refused", ["why"])

FORBIDDEN = (
    aiormq.exceptions.ChannelAccessRefused,  # our user may not
    aiormq.exceptions.ChannelPreconditionFailed,  # we are not who we say, or it is too large
)


class Outbox:
    """Channels with confirms on a connection of its own, opened again where they are lost."""

    def __init__(self, link: Link, user: str, *, confirm: float) -> None:
        self.blocked = ""
        """Why the broker confirms nothing now; empty if it does."""
        self.forbidden: dict[str, str] = {}
        """The routing keys that the broker does not let us publish by, and what it says."""
        self._confirm = confirm
        self._link = link
        self._user = user
        self._channels: dict[str, AbstractChannel] = {}
        self._opening = asyncio.Lock()

    async def publish(self, packet: Packet) -> None:
        """Publish until confirmed, under the same id across lost connections."""
        message = _message(packet, self._user)
        alone, sent = False, False
        while not sent:
            try:
                with lost_in_a_call():
                    sent = await self._try(message, packet, alone=alone)
            except FORBIDDEN as error:
                # It closes the channel, so what was in flight beside it seems to be refused, too.
                if alone:
                    self._forbid(packet, error)
                    await asyncio.sleep(REFUSED)
                alone = True
            except BROKEN as error:
                await self._link.wait_changed(error)
        self.blocked = ""
        self.forbidden.pop(packet.key, None)

    async def _try(self, message: aio_pika.Message, packet: Packet, *, alone: bool) -> bool:
        """Publish once; tell whether the broker has it. What it refuses may be taken later."""
        course = packet.course if self._link.is_cluster else ""
        channel: AbstractChannel | None = None
        try:
            if alone:
                await self._send_alone(message, packet)
            else:
                channel = await self._channel(course)
                await self._send(channel, message, packet)
        except aiormq.exceptions.PublishError as error:
            REFUSALS.labels("unroutable").inc()
            if self._link.is_cluster:
                await self._renew(course, channel)
            unroutable = UnroutableError(packet.key)
            if not packet.patient:
                raise unroutable from error
            self.blocked = unroutable.reason
            await asyncio.sleep(REFUSED)
        except aiormq.exceptions.DeliveryError:
            REFUSALS.labels("full").inc()
            self.blocked = "the broker refuses: a queue is full, or has no leader"
            await asyncio.sleep(REFUSED)
            await self._renew(course, channel)
        except TimeoutError:
            self.blocked = f"no confirm within {self._confirm:g} s; look for a broker alarm"
        else:
            return True
        return False

    def _forbid(self, packet: Packet, error: Exception) -> None:
        """Note what the broker refuses us, until it is taken: an operator may mend it meanwhile."""
        REFUSALS.labels("forbidden").inc()
        if packet.key not in self.forbidden:
            self.forbidden[packet.key] = f"the broker refuses it: {error}"
            logger.error("publish refused", key=packet.key, reason=str(error))

    async def _send_alone(self, message: aio_pika.Message, packet: Packet) -> None:
        connection = await self._link.connection()
        async with connection.channel(on_return_raises=True) as channel:
            await self._send(channel, message, packet)

    async def _send(
        self, channel: AbstractChannel, message: aio_pika.Message, packet: Packet
    ) -> None:
        exchange = await channel.get_exchange(packet.exchange, ensure=False)
        await exchange.publish(
            message, packet.key, mandatory=packet.mandatory, timeout=self._confirm
        )

    async def _renew(self, course: str, channel: AbstractChannel | None) -> None:
        """
        Publish on a new channel from now on.

        RabbitMQ 3.10 may go on asking a node that died who leads a queue, for as long as the
        channel lives on which it did so first, and refuses meanwhile. And a channel on which
        something was returned counts otherwise than its streams do.
        """
        if channel is None or channel is not self._channels.get(course):
            return
        del self._channels[course]
        with suppress(*BROKEN), lost_in_a_call():
            await channel.close()

    async def _channel(self, course: str) -> AbstractChannel:
        async with self._opening:
            channel = self._channels.get(course)
            if channel is None or channel.is_closed:
                if len(self._channels) >= MOST:
                    await self._renew(*next(iter(self._channels.items())))
                connection = await self._link.connection()
                channel = await connection.channel(on_return_raises=True)
                self._channels[course] = channel
            return channel


def _message(packet: Packet, user: str) -> aio_pika.Message:
    return aio_pika.Message(
        packet.body,
        headers=dict(packet.headers),
        content_type=packet.content_type,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=packet.id,
        correlation_id=packet.correlation_id,
        reply_to=packet.reply_to,
        user_id=user,  # which the broker checks
    )
