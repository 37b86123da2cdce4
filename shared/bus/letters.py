"""
Dead letters as people look at them: what each is, why it died, and what can be done with it.

Read `dead` for how one is written. Those of the broker itself (the delivery limit) carry only what
the broker says.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from shared.bus import names
from shared.bus.dead import LETTER, ROUTES
from shared.bus.publisher import Publisher
from shared.bus.transport import Delivery, Packet
from shared.contract.envelope import uuid7

_OURS = "flux-"
_COUNTS = {"x-delivery-count", "x-acquired-count"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One dead letter, held."""

    id: str
    """Of the letter, not of the message: a message may die twice."""
    type: str
    subject: str
    source: str
    correlation: str
    queue: str
    """The queue that it was worked on from; empty where that is not known."""
    reason: str
    trace: str
    tries: str
    first: str
    """When it came, in RFC 3339; empty where that is not known."""
    buried: str
    headers: Mapping[str, str]
    """Without what was added when it died."""
    body: bytes
    delivery: Delivery

    async def drop(self) -> None:
        """Take it away for good."""
        await self.delivery.ack()

    async def replay(self, publisher: Publisher, *, by: str) -> None:
        """
        Give it to its own queue once more, and to nobody else; *by* says who wants that.

        Raises:
            UnroutableError: there is no such queue.
        """
        headers = {**self.headers, "flux-replayed-by": by[:200]}
        packet = Packet(
            exchange=names.REPLAY,
            key=self.queue or "unknown",
            id=self.headers.get("cloudEvents:id", uuid7()),
            headers=headers,
            body=self.body,
            mandatory=True,
        )
        await publisher.replay(packet)
        await self.delivery.ack()


async def letters(deliveries: AsyncIterator[Delivery]) -> AsyncGenerator[Letter, None]:
    """Yield the dead letters that the broker holds for us."""
    async for delivery in deliveries:
        yield _letter(delivery)


def _letter(delivery: Delivery) -> Letter:
    headers = {key: str(value) for key, value in delivery.headers.items()}
    death = _death(delivery.headers.get("x-death"))
    return Letter(
        id=headers.get(LETTER) or _fingerprint(headers, delivery.body),
        type=headers.get("cloudEvents:type", ""),
        subject=headers.get("cloudEvents:subject", ""),
        source=headers.get("cloudEvents:source", ""),
        correlation=headers.get("cloudEvents:correlationid", ""),
        queue=headers.get("flux-queue") or str(death.get("queue", "")),
        reason=headers.get("flux-reason") or f"the broker: {death.get('reason', 'unknown')}",
        trace=headers.get("flux-trace", ""),
        tries=headers.get("flux-tries") or str(death.get("count", "")),
        first=headers.get("flux-first", ""),
        buried=headers.get("flux-buried") or str(death.get("time", "")),
        headers=_without_ours(headers),
        body=delivery.body,
        delivery=delivery,
    )


def _without_ours(headers: Mapping[str, str]) -> Mapping[str, str]:
    return {
        key: value
        for key, value in headers.items()
        if not key.startswith((_OURS, "x-")) and key not in ROUTES
    }


def _death(found: object) -> Mapping[str, Any]:
    """Return the newest entry of the broker's own header; it is a table, or garbage."""
    first = found[0] if isinstance(found, Sequence) and found else None
    return first if isinstance(first, Mapping) else {}


def _fingerprint(headers: Mapping[str, str], body: bytes) -> str:
    """Return an id for a letter without one; the broker counts in its headers who looked at it."""
    lasting = [(key, headers[key]) for key in sorted(headers) if key not in _COUNTS]
    return sha256(repr(lasting).encode() + body).hexdigest()[:32]
