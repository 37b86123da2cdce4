"""
What each service may do on the broker, made of the contract's table of who says what.

Pure: regular expressions on names, as RabbitMQ takes them. `management` gives them to the users;
the twin in memory and `publisher` refuse by the same table.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.bus import names
from shared.contract import Envelope, Message, Question
from shared.contract.registry import LISTENERS, MESSAGES, PUBLISHERS, SERVICES, STAGES, hearers
from shared.runtime.errors import PermanentError

NOTHING = "^$"
"""Matches no name that there is."""

_BESIDE_MESSAGES: Mapping[str, tuple[str, ...]] = {
    "git-watcher": (names.STATE,),  # bundles
    "gateway": (names.REPLAY,),  # dead letters, on behalf of a person
    **dict.fromkeys(STAGES[1:], ()),
}
"""Exchanges that a service writes to with something else than its own messages."""


class ForbiddenError(PermanentError):
    """A service would say what it may not; the contract's table says who may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """On one topic exchange: the routing keys to publish with, and the ones to bind queues by."""

    write: str = NOTHING
    read: str = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What one user may configure, write to and read from; and on topic exchanges by which keys."""

    configure: str
    write: str
    read: str
    topics: Mapping[str, Topics]


def grant(service: str) -> Grant:
    """Return what *service* needs, and nothing else."""
    said, heard = _said_by(service), _heard_by(service)
    own = rf"{_literal(service)}\.(replies|presence)\..+"
    written = {names.exchange(message) for message in said} | {*_BESIDE_MESSAGES[service]}
    # To bind a queue takes the right to write to it, and to read its exchange.
    bound = {names.exchange(one) for one in heard} & {names.REPLIES, names.PRESENCE}
    buries = {names.DEAD} if service in STAGES else set()
    return Grant(
        configure=f"^{own}$",
        write=_any([*map(_literal, sorted(written | buries)), own]),
        read=_any([*map(_literal, sorted(bound)), own, *_read_by(service)]),
        topics={
            names.EVENTS: Topics(write=_keys(said, names.EVENTS, r"[0-9]+")),
            names.COMMANDS: Topics(write=_keys(said, names.COMMANDS, r"[0-9]+")),
            names.REPLIES: Topics(
                write=_keys(said, names.REPLIES, r".+"),
                read=rf"^\#\.{_literal(service)}\.[^.]+$" if names.REPLIES in bound else NOTHING,
            ),
            names.PRESENCE: Topics(
                write=_any([_literal(service)] if service in STAGES else []),
                read=_any(map(_literal, _presences(service))),
            ),
            names.DEAD: Topics(write=_any([".+"] if buries else [])),
        },
    )


def service_of(user: str | None) -> str | None:
    """Return the service that a broker's *user* is of: `git-watcher`, `prod.git-watcher`."""
    for service in SERVICES:
        if user and (user == service or user.endswith((f".{service}", f"-{service}"))):
            return service
    return None


def speaker(source: str) -> str:
    """Return who a message says that it is from: the service of `/git-watcher/<replica>`."""
    return source.strip("/").partition("/")[0]


def asks(service: str) -> bool:
    """Tell whether *service* asks questions, and so gets replies."""
    return service not in SERVICES or any(issubclass(one, Question) for one in _said_by(service))


def check(envelope: Envelope) -> None:
    """
    Look whether the service that *envelope* is from may say it.

    Raises:
        ForbiddenError: it may not.
    """
    service = speaker(envelope.source)
    if service in SERVICES and service not in PUBLISHERS[envelope.type]:
        raise ForbiddenError(
            f"{service} may not say {envelope.type}; shared/contract/registry.py says who may"
        )


def _said_by(service: str) -> list[type[Message]]:
    return [one for one in MESSAGES.values() if service in PUBLISHERS[one.type]]


def _heard_by(service: str) -> list[type[Message]]:
    return [one for one in MESSAGES.values() if service in hearers(one)]


def _read_by(service: str) -> Iterable[str]:
    """Return patterns of the queues and streams that *service* consumes."""
    if service in STAGES:
        yield rf"{_literal(service)}\.[0-9]+"
    if service in LISTENERS["state.declared.v1"]:
        yield _literal(names.DECLARED)
    if service == "cluster-applier":
        yield rf"{_literal(names.STATE)}\..+"
    if service == "gateway":
        yield from (_literal(names.LOG), _literal(names.DEAD))


def _presences(service: str) -> Iterable[str]:
    """Return the stages whose replicas *service* listens to."""
    if service in LISTENERS["replica.present.v1"]:
        return STAGES
    return (service,) if service in STAGES else ()


def _keys(said: Iterable[type[Message]], exchange: str, rest: str) -> str:
    return _any(rf"{_literal(one.type)}\.{rest}" for one in said if names.exchange(one) == exchange)


def _literal(name: str) -> str:
    return name.replace(".", r"\.")


def _any(patterns: Iterable[str]) -> str:
    found = "|".join(patterns)
    return f"^({found})$" if found else NOTHING
