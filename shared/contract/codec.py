"""
Envelopes to and from the wire; everything from the wire is untrusted.

Attributes travel as AMQP headers after the CloudEvents binding (prefix `cloudEvents:`), the message
as JSON in the body, *reply_to* as AMQP's own property.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from itertools import islice

from pydantic import ValidationError

from shared.contract.envelope import Envelope, attributes
from shared.contract.message import Message
from shared.contract.registry import MESSAGES

LARGEST = 12_000_000
"""Bytes of a body; RabbitMQ 4 refuses more than 16 MiB."""

LONGEST = 255
"""Bytes of an id or a source: as a property of AMQP it could be no longer."""

LONGEST_SUBJECT = 4_000
"""Bytes."""

LONGEST_ADDRESS = 100
"""Bytes."""

_PREFIX = "cloudEvents:"


class Flaw(StrEnum):
    """What can be wrong with a message that comes in; metrics count by it."""

    TYPE = "type"
    """There is none, or nobody knows it."""
    ATTRIBUTE = "attribute"
    CONTENT_TYPE = "content-type"
    BODY = "body"
    SIZE = "size"
    ROUTE = "route"
    """It came where messages of its type don't go."""
    SENDER = "sender"
    """Who says it may not, or is somebody else."""


class MalformedError(ValueError):
    """A message that can't be read; the sentence says what is wrong with it."""

    def __init__(self, flaw: Flaw, sentence: str) -> None:
        super().__init__(sentence)
        self.flaw = flaw


def encode(envelope: Envelope) -> tuple[Mapping[str, str], bytes]:
    """Return the headers and the body of *envelope*."""
    return attributes(envelope), envelope.message.model_dump_json().encode()


def decode(headers: Mapping[str, object], body: bytes, reply_to: str | None = None) -> Envelope:
    """
    Return the envelope that *headers* and *body* hold.

    Raises:
        MalformedError: they hold none.
    """
    kind = _text(headers, "type", Flaw.TYPE)
    message = MESSAGES.get(kind)
    if message is None:
        raise MalformedError(Flaw.TYPE, f"unknown type {kind[:100]!r}")
    if _text(headers, "specversion") != "1.0":
        raise MalformedError(Flaw.ATTRIBUTE, f"{kind}: specversion must be 1.0")
    if len(body) > LARGEST:
        raise MalformedError(
            Flaw.SIZE, f"{kind}: the body has {len(body)} bytes, {LARGEST} are allowed"
        )
    return Envelope(
        id=_identity(headers, "id"),
        source=_identity(headers, "source"),
        time=_moment(headers, "time"),
        message=_message(message, body),
        correlationid=_identity(
            headers, "id" if _absent(headers, "correlationid") else "correlationid"
        ),
        causationid=None if _absent(headers, "causationid") else _identity(headers, "causationid"),
        reply_to=_address(reply_to),
        deadline=None if _absent(headers, "deadline") else _moment(headers, "deadline"),
    )


def _message(kind: type[Message], body: bytes) -> Message:
    try:
        message = kind.model_validate_json(body)
    except ValidationError as error:
        raise MalformedError(Flaw.BODY, f"{kind.type}: {_summary(error)}") from error
    # What it is about goes into headers, and those of a message must fit into one frame.
    if not _is_short(message.subject, LONGEST_SUBJECT):
        raise MalformedError(
            Flaw.BODY, f"{kind.type}: its subject must have {LONGEST_SUBJECT} bytes at most"
        )
    return message


def _is_short(text: str, bytes_at_most: int) -> bool:
    return len(text.encode(errors="surrogatepass")) <= bytes_at_most


def _address(reply_to: str | None) -> str | None:
    """Return where an answer goes: a part of a routing key, beside the answer's type."""
    if not reply_to:
        return None
    if not reply_to.isprintable() or not _is_short(reply_to, LONGEST_ADDRESS):
        raise MalformedError(
            Flaw.ATTRIBUTE, f"reply_to must be printable, {LONGEST_ADDRESS} bytes at most"
        )
    return reply_to


def _absent(headers: Mapping[str, object], name: str) -> bool:
    value = headers.get(_PREFIX + name)
    return value is None or value == ""


def _text(headers: Mapping[str, object], name: str, flaw: Flaw = Flaw.ATTRIBUTE) -> str:
    """Return an attribute that must be there, as text."""
    value = headers.get(_PREFIX + name)
    if _absent(headers, name):
        raise MalformedError(flaw, f"the CloudEvents attribute {name!r} is missing")
    if not isinstance(value, str):
        raise MalformedError(
            flaw, f"the CloudEvents attribute {name!r} is {type(value).__name__}, not text"
        )
    return value


def _identity(headers: Mapping[str, object], name: str) -> str:
    value = _text(headers, name)
    if not value.isprintable() or not _is_short(value, LONGEST):
        raise MalformedError(
            Flaw.ATTRIBUTE,
            f"the CloudEvents attribute {name!r} must be printable, {LONGEST} bytes at most",
        )
    return value


def _moment(headers: Mapping[str, object], name: str) -> datetime:
    value = _text(headers, name)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise MalformedError(
            Flaw.ATTRIBUTE, f"{name} {value[:40]!r} is no RFC 3339 time"
        ) from error
    if moment.tzinfo is None:
        raise MalformedError(Flaw.ATTRIBUTE, f"{name} {value[:40]!r} has no time zone")
    return moment


def _summary(error: ValidationError) -> str:
    """Tell the first mistakes without the values, which may be secret."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    places = (f"{'.'.join(map(str, one['loc']))[:100] or 'body'}: {one['msg']}" for one in found)
    shown = "; ".join(islice(places, 3))
    return f"{shown}; and {len(found) - 3} more" if len(found) > 3 else shown
