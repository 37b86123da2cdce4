"""Turns drafts into envelopes into packets, and publishes them with confirms."""

import asyncio

from prometheus_client import Counter

from shared.bus import grants, names
from shared.bus.dead import DeadLetter
from shared.bus.transport import Packet, Transport, UnroutableError
from shared.contract import Command, Draft, Envelope, Event, Reply
from shared.contract.codec import LARGEST, encode
from shared.runtime.errors import PermanentError

IN_FLIGHT = 100
"""Publishes that wait for their confirms at once."""

PUBLISHED = Counter("flux_bus_published_total", "Messages confirmed by the broker", ["type"])


class Publisher:
    """Publishes what one process says, as *source*."""

    def __init__(self, transport: Transport, source: str) -> None:
        self.source = source
        self._transport = transport
        self._unroutable: dict[str, str] = {}

    def problems(self) -> dict[str, str]:
        """Return the types that no queue took, until one does."""
        return dict(self._unroutable)

    async def publish(self, *drafts: Draft) -> None:
        """Publish *drafts* in order; return when all are confirmed."""
        packets = [self._packet(draft) for draft in drafts]
        for start in range(0, len(packets), IN_FLIGHT):
            await self.send(*packets[start : start + IN_FLIGHT])

    async def send(self, *packets: Packet) -> None:
        """
        Publish *packets*, together in flight.

        Raises:
            UnroutableError: of the first that no queue took.
        """
        async with asyncio.TaskGroup() as group:
            sent = [
                group.create_task(self._send(packet), name=f"publish {packet.key}")
                for packet in packets
            ]
        for error in filter(None, (task.result() for task in sent)):
            raise error

    async def bury(self, letter: DeadLetter) -> None:
        """Publish a dead letter."""
        await self._transport.publish(letter.packet())

    async def replay(self, packet: Packet) -> None:
        """
        Publish what was said before, and died.

        Raises:
            UnroutableError: its queue is gone, which is nothing that is wrong with us.
        """
        await self._transport.publish(packet)

    async def _send(self, packet: Packet) -> UnroutableError | None:
        try:
            await self._transport.publish(packet)
        except UnroutableError as error:
            self._unroutable[packet.key] = error.reason
            return error
        self._unroutable.pop(packet.key, None)
        PUBLISHED.labels(packet.key.rpartition(".")[0] or packet.key).inc()
        return None

    def _packet(self, draft: Draft) -> Packet:
        message = draft.message
        if isinstance(message, Reply):
            address = (draft.cause and draft.cause.reply_to) or "nobody"
            return packet(draft.sealed(self.source), key=names.reply_key(message, address))
        return packet(draft.sealed(self.source), key=names.routing_key(message))


def packet(envelope: Envelope, *, key: str, reply_to: str | None = None) -> Packet:
    """
    Return *envelope* as the broker takes it.

    Raises:
        ForbiddenError: it is not for us to say that.
        PermanentError: it is too large; nobody would read it.
    """
    grants.check(envelope)
    headers, body = encode(envelope)
    if len(body) > LARGEST:
        raise PermanentError(
            f"{envelope.type} about {envelope.subject} has {len(body)} bytes,"
            f" {LARGEST} are allowed; declare less in one sync"
        )
    return Packet(
        exchange=names.exchange(type(envelope.message)),
        key=key,
        id=envelope.id,
        headers=headers,
        body=body,
        correlation_id=envelope.correlationid,
        reply_to=reply_to,
        mandatory=isinstance(envelope.message, Command | Event),
        patient=isinstance(envelope.message, Event),
        course=envelope.type if isinstance(envelope.message, Event) else "",
    )
