"""
How a message travels: a CloudEvents 1.0 envelope around it.

In AMQP it is the binary mode: attributes in headers, the message as JSON in the body.
"""

import os
import time as clock
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self
from uuid import UUID

from shared.contract.message import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One message with its CloudEvents attributes."""

    id: str
    source: str
    """Who says it: `/git-watcher/<replica>`."""
    time: datetime
    message: Message
    correlationid: str
    """From the first cause to the last effect; a job's id for a person's order."""
    causationid: str | None = None
    reply_to: str | None = None
    deadline: datetime | None = None
    """After this nobody waits for an answer any more."""

    @property
    def type(self) -> str:
        """The message's versioned type."""
        return self.message.type

    @property
    def subject(self) -> str:
        """What the message is about, at its receiver."""
        return self.message.subject

    def with_id(self, identity: str) -> Self:
        """Return the same under another id."""
        return replace(self, id=identity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A message and what led to it; whoever publishes it makes the envelope."""

    message: Message
    cause: Envelope | None = None
    id: str | None = None
    """Given where the same fact may be told twice (a UUIDv5 of what it is about)."""
    correlationid: str | None = None

    def sealed(self, source: str) -> Envelope:
        """Return the envelope in which *source* publishes it now."""
        identity = self.id or uuid7()
        cause = self.cause
        correlation = self.correlationid or (cause.correlationid if cause else identity)
        return Envelope(
            id=identity,
            source=source,
            time=datetime.now(UTC),
            message=self.message,
            correlationid=correlation,
            causationid=cause.id if cause else None,
            reply_to=None,
        )


def attributes(envelope: Envelope) -> Mapping[str, str]:
    """Return the CloudEvents attributes as AMQP headers (prefix `cloudEvents:`)."""
    values = {
        "specversion": "1.0",
        "id": envelope.id,
        "source": envelope.source,
        "type": envelope.type,
        "subject": envelope.subject,
        "time": envelope.time.isoformat(),
        "correlationid": envelope.correlationid,
        "causationid": envelope.causationid,
        "deadline": envelope.deadline.isoformat() if envelope.deadline else None,
    }
    return {f"cloudEvents:{key}": value for key, value in values.items() if value is not None}


def uuid7() -> str:
    """Return a new UUIDv7: sorted by time (RFC 9562, 5.7)."""
    millis = clock.time_ns() // 1_000_000
    raw = bytearray(millis.to_bytes(6) + os.urandom(10))
    raw[6] = (raw[6] & 0x0F) | 0x70
    raw[8] = (raw[8] & 0x3F) | 0x80
    return str(UUID(bytes=bytes(raw)))
