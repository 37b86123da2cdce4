"""
Where what comes from the broker becomes an envelope, or is refused: the one door in.

RabbitMQ lets a user publish only by the routing keys, and under the name, that are its own
(`grants`). So what is said must be what the key says, and who is named must be who was checked.
"""

from collections.abc import Mapping
from typing import Protocol

from prometheus_client import Counter

from shared.bus import names
from shared.bus.grants import service_of, speaker
from shared.bus.transport import Label, Transport
from shared.contract import Envelope, Reply, partition
from shared.contract.codec import Flaw, MalformedError, decode
from shared.contract.registry import PUBLISHERS

CONTENT_TYPE = "application/json"

BAD = Counter(
    "flux_bus_bad_messages_total", "Messages that were refused as they came in", ["place", "flaw"]
)


class Incoming(Protocol):
    """A delivery or a record of a stream."""

    @property
    def label(self) -> Label:
        """What is written on it."""

    @property
    def headers(self) -> Mapping[str, object]:
        """As they came from the wire: of any type."""

    @property
    def body(self) -> bytes:
        """The content."""


class Entrance:
    """The door at one *place*: the queue of a stage, a stream, an exchange."""

    def __init__(self, place: str, transport: Transport, *, receiver: str | None = None) -> None:
        self._place = place
        for flaw in Flaw:  # from nothing to the first one is an increase, too
            BAD.labels(place, flaw.value)
        self._receiver = receiver
        # Where all services share one user the broker checks nobody.
        self._is_checked = service_of(transport.user) is not None

    def admit(self, came: Incoming, *, queue: str | None = None) -> Envelope:
        """
        Return the envelope that came, by which partition's *queue*, if by one.

        Raises:
            MalformedError: it can't be read, or is not what or from whom it says; it was counted.
        """
        try:
            return self._admitted(came, queue)
        except MalformedError as error:
            BAD.labels(self._place, error.flaw.value).inc()
            raise

    def _admitted(self, came: Incoming, queue: str | None) -> Envelope:
        label = came.label
        _check_content(label)
        envelope = decode(came.headers, came.body, reply_to=label.reply_to)
        if self._receiver is not None and envelope.message.receiver != self._receiver:
            raise MalformedError(
                Flaw.ROUTE, f"{envelope.type} is not for {self._receiver}, but for others"
            )
        # What a person has replayed was said by others before, and comes by no key of its own.
        if label.exchange != names.REPLAY:
            _check_route(envelope, label)
            if self._is_checked:
                _check_sender(envelope, label.user)
        # RabbitMQ looks at the key, not at further ones that a header names (CC): two would work on
        # one subject.
        if queue and queue != names.queue(self._receiver or "", partition(envelope.subject)):
            raise MalformedError(
                Flaw.ROUTE, f"{envelope.type} about {envelope.subject} does not belong into {queue}"
            )
        return envelope


def _check_content(label: Label) -> None:
    kind = (label.content_type or CONTENT_TYPE).partition(";")[0].strip().lower()
    if kind != CONTENT_TYPE:
        raise MalformedError(Flaw.CONTENT_TYPE, f"content type {kind[:100]!r} is no JSON")
    if label.content_encoding not in {None, "", "utf-8", "identity"}:
        encoding = str(label.content_encoding)[:100]
        raise MalformedError(Flaw.CONTENT_TYPE, f"content encoding {encoding!r} is not known")


def _check_route(envelope: Envelope, label: Label) -> None:
    message = envelope.message
    if isinstance(message, Reply):
        is_right = label.key.startswith(names.reply_key(message, ""))
    else:
        is_right = label.key == names.routing_key(message)
    if label.exchange != names.exchange(type(message)) or not is_right:
        raise MalformedError(
            Flaw.ROUTE,
            f"{envelope.type} came by the key {label.key[:100]!r} of {label.exchange[:100]!r}",
        )


def _check_sender(envelope: Envelope, user: str | None) -> None:
    if user is None:
        raise MalformedError(Flaw.SENDER, "it has no user_id, so the broker has checked nobody")
    service = service_of(user)
    if service is None:  # not one of ours: the operator has given it what it may say
        return
    if service not in PUBLISHERS[envelope.type] or service != speaker(envelope.source):
        raise MalformedError(
            Flaw.SENDER, f"{user[:100]} said {envelope.type} as {envelope.source[:100]!r}"
        )
