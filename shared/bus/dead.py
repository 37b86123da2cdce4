"""What goes to `flux.dead`: the message as it was, and why it ended there."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from shared.bus import names
from shared.bus.transport import Delivery, Packet
from shared.contract import Envelope
from shared.contract.codec import Flaw, MalformedError, encode
from shared.contract.envelope import uuid7

LETTER = "flux-letter"
"""The header with the letter's own id."""

ROUTES = {"CC", "BCC"}
"""Headers by which RabbitMQ would send a letter to others, or refuse it."""

START = 64_000
"""Bytes that are kept of a body that is too large."""

HEADERS_LIMIT = 32_000
"""Bytes of headers that are kept: with ours they must fit into one frame."""

TRACE_LIMIT = 8_000
"""Characters of a trace that a header keeps: enough for its end, which tells most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message at fault."""

    headers: Mapping[str, str]
    body: bytes
    key: str
    """Its type, by which dead letters are filtered."""
    id: str

    @classmethod
    def unreadable(cls, delivery: Delivery, error: MalformedError, *, queue: str) -> Self:
        """Return the dead letter of what could not be parsed."""
        why = _why(str(error), queue=queue, tries=1, first=_now())
        body = delivery.body
        # No reader ever takes it, and a few of them would fill the queue.
        if error.flaw is Flaw.SIZE:
            body = body[:START]
            why = {**why, "flux-cut": f"the first {START} of {len(delivery.body)} bytes are kept"}
        return cls(
            headers={**_kept(delivery.headers), **why}, body=body, key="unreadable", id=uuid7()
        )

    @classmethod
    def refused(
        cls, envelope: Envelope, reason: str, trace: str, *, queue: str, tries: int, first: str
    ) -> Self:
        """Return the dead letter of a message that its handler can't work on."""
        headers, body = encode(envelope)
        why = _why(reason, queue=queue, tries=tries, first=first)
        trace = trace[-TRACE_LIMIT:]
        return cls(
            headers={**headers, **why, "flux-trace": trace},
            body=body,
            key=envelope.type,
            id=envelope.id,
        )

    def packet(self) -> Packet:
        """Return it as the broker takes it."""
        return Packet(
            exchange=names.DEAD,
            key=self.key,
            id=self.id,
            headers=self.headers,
            body=self.body,
            mandatory=True,
            patient=True,
        )


def _kept(headers: Mapping[str, object]) -> Mapping[str, str]:
    """Return what of somebody's headers fits into a frame beside ours, the contract's own first."""
    room = HEADERS_LIMIT
    kept: dict[str, str] = {}
    for key in sorted(headers.keys() - ROUTES, key=_rank):
        value = str(headers[key])[:1000]
        room -= len(key.encode()) + len(value.encode(errors="replace"))
        if room < 0:
            break
        kept[key] = value
    return kept


def _rank(header: str) -> tuple[bool, str]:
    return not header.startswith("cloudEvents:"), header


def _why(reason: str, *, queue: str, tries: int, first: str) -> Mapping[str, str]:
    return {
        LETTER: uuid7(),
        "flux-reason": reason[:1000],
        "flux-queue": queue,
        "flux-tries": str(tries),
        "flux-first": first,
        "flux-buried": _now(),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat()
