"""Publishing to RabbitMQ: again and again under one id, until the broker has confirmed it."""

import asyncio
from contextlib import suppress

import aio_pika
import aiormq.exceptions
from aio_pika.abc import AbstractChannel, AbstractExchange

from shared.bus.rabbit_link import BROKEN, Link
from shared.bus.transport import Packet, UnroutableError

REFUSED = 1.0
"""Seconds before what the broker refused is sent again."""


class Outbox:
    """One channel with confirms on a connection of its own, opened again where it is lost."""

    def __init__(self, link: Link, *, confirm: float) -> None:
        self.blocked = ""
        """Why the broker confirms nothing now; empty if it does."""
        self._confirm = confirm
        self._link = link
        self._channel: AbstractChannel | None = None
        self._exchanges: dict[str, AbstractExchange] = {}
        self._opening = asyncio.Lock()

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
                self.blocked = unroutable.reason
                await asyncio.sleep(REFUSED)
            except TimeoutError:
                self.blocked = f"no confirm within {self._confirm:g} s; look for a broker alarm"
            except aiormq.exceptions.DeliveryError:
                self.blocked = "the broker refuses: a queue is full, or has no leader"
                await asyncio.sleep(REFUSED)
                await self._renew(channel)
            except BROKEN as error:
                await self._link.wait_changed(error)
            else:
                self.blocked = ""
                return

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
                connection = await self._link.connection()
                self._exchanges.clear()
                self._channel = await connection.channel(on_return_raises=True)
            if name not in self._exchanges:
                self._exchanges[name] = await self._channel.get_exchange(name, ensure=False)
            return self._exchanges[name]


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
