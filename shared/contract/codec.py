"""Envelopes to and from the wire; everything from the wire is untrusted."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import ValidationError

from shared.contract.envelope import Envelope, attributes
from shared.contract.registry import MESSAGES

LARGEST = 12_000_000
"""Bytes of a body; RabbitMQ 4 refuses more than 16 MiB."""

_PREFIX = "cloudEvents:"


class MalformedError(ValueError):
    """A message that can't be read; the sentence says what is wrong with it."""


def encode(envelope: Envelope) -> tuple[Mapping[str, str], bytes]:
    """Return the headers and the body of *envelope*."""
    return attributes(envelope), envelope.message.model_dump_json().encode()


def decode(headers: Mapping[str, object], body: bytes, reply_to: str | None = None) -> Envelope:
    """
    Return the envelope that *headers* and *body* hold.

    Raises:
        MalformedError: they hold none.
    """
    texts = {key: value for key, value in headers.items() if isinstance(value, str)}
    kind = _attribute(texts, "type")
    message = MESSAGES.get(kind)
    if message is None:
        raise MalformedError(f"unknown type {kind[:100]!r}")
    if len(body) > LARGEST:
        raise MalformedError(f"{kind}: the body has {len(body)} bytes, {LARGEST} are allowed")
    try:
        content = message.model_validate_json(body)
    except ValidationError as error:
        raise MalformedError(f"{kind}: {_summary(error)}") from error
    return Envelope(
        id=_attribute(texts, "id"),
        source=_attribute(texts, "source"),
        time=_moment(texts, "time"),
        message=content,
        correlationid=texts.get(f"{_PREFIX}correlationid") or _attribute(texts, "id"),
        causationid=texts.get(f"{_PREFIX}causationid"),
        reply_to=reply_to,
        deadline=_moment(texts, "deadline") if f"{_PREFIX}deadline" in texts else None,
    )


def _attribute(texts: Mapping[str, str], name: str) -> str:
    value = texts.get(_PREFIX + name)
    if not value:
        raise MalformedError(f"the CloudEvents attribute {name!r} is missing")
    return value


def _moment(texts: Mapping[str, str], name: str) -> datetime:
    value = _attribute(texts, name)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise MalformedError(f"{name} {value[:40]!r} is no RFC 3339 time") from error
    if moment.tzinfo is None:
        raise MalformedError(f"{name} {value!r} has no time zone")
    return moment


def _summary(error: ValidationError) -> str:
    """Tell the first mistakes without the values, which may be secret."""
    places = (f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors()[:3])
    return "; ".join(places)
