"""What exists on the broker, as data: `topology` declares it, the twin in memory plays it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.bus import names
from shared.contract import PARTITIONS
from shared.contract.registry import MESSAGES, STAGES


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A durable queue or stream."""

    name: str
    arguments: Mapping[str, str | int | bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What of an exchange a queue gets."""

    exchange: str
    key: str
    queue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Limits, which an operator may change without declaring anything anew."""

    name: str
    pattern: str
    definition: Mapping[str, str | int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """All of it."""

    exchanges: Mapping[str, str]
    queues: tuple[Queue, ...]
    bindings: tuple[Binding, ...]
    policies: tuple[Policy, ...]


def topology(syncs: Iterable[tuple[str, str]]) -> Topology:
    """Return what *syncs*, pairs of target and name, need on the broker."""
    places = sorted(set(syncs))
    streams = [_stream(names.LOG, megabytes=8), _stream(names.DECLARED, megabytes=4)]
    streams += [_stream(names.state_stream(*place), megabytes=4) for place in places]
    return Topology(
        exchanges={
            names.EVENTS: "topic",
            names.COMMANDS: "topic",
            names.REPLIES: "topic",
            names.PRESENCE: "topic",
            names.STATE: "direct",
            names.DEAD: "topic",
            names.REPLAY: "direct",
        },
        queues=(*_partition_queues(), _DEAD, *streams),
        bindings=(*_bindings(), *(_state_binding(*place) for place in places)),
        policies=_POLICIES,
    )


_DEAD = Queue(name=names.DEAD, arguments={"x-queue-type": "quorum"})

_POLICIES = (
    # 20 because every restart of a service counts as one delivery for all that it had prefetched.
    Policy(
        name="flux-partitions",
        pattern=rf"^({'|'.join(STAGES)})\.[0-9]+$",
        definition={
            "delivery-limit": 20,
            "dead-letter-strategy": "at-least-once",
            "overflow": "reject-publish",
        },
    ),
    # Looking at dead letters counts as a delivery of each. Full, it holds up who would bury more,
    # which is told: nothing goes away silently.
    Policy(
        name="flux-dead",
        pattern=r"^flux\.dead$",
        definition={
            "delivery-limit": 1_000_000,
            "max-length": 100_000,
            "max-length-bytes": 500_000_000,
            "overflow": "reject-publish",
        },
    ),
    Policy(
        name="flux-log",
        pattern=r"^flux\.log$",
        definition={"max-age": "7D", "max-length-bytes": 512_000_000},
    ),
    Policy(
        name="flux-declared",
        pattern=r"^flux\.declared$",
        definition={"max-age": "1h", "max-length-bytes": 256_000_000},
    ),
    Policy(
        name="flux-state",
        pattern=r"^flux\.state\.",
        definition={"max-length-bytes": 16_000_000},
    ),
)


def _partition_queues() -> Iterable[Queue]:
    arguments: Mapping[str, str | int | bool] = {
        "x-queue-type": "quorum",
        "x-single-active-consumer": True,
        "x-dead-letter-exchange": names.DEAD,
    }
    for service in STAGES:
        for number in range(PARTITIONS):
            yield Queue(name=names.queue(service, number), arguments=arguments)


def _stream(name: str, *, megabytes: int) -> Queue:
    # Whole segments are kept, so a small limit needs small segments.
    segment = megabytes * 1_000_000
    return Queue(
        name=name,
        arguments={"x-queue-type": "stream", "x-stream-max-segment-size-bytes": segment},
    )


def _bindings() -> Iterable[Binding]:
    yield Binding(exchange=names.EVENTS, key="#", queue=names.LOG)
    yield Binding(exchange=names.EVENTS, key="state.declared.v1.*", queue=names.DECLARED)
    yield Binding(exchange=names.DEAD, key="#", queue=names.DEAD)
    for queue in _partition_queues():
        yield Binding(exchange=names.REPLAY, key=queue.name, queue=queue.name)
    for message in MESSAGES.values():
        if message.receiver is None:
            continue
        for number in range(PARTITIONS):
            yield Binding(
                exchange=names.exchange(message),
                key=f"{message.type}.{number}",
                queue=names.queue(message.receiver, number),
            )


def _state_binding(target: str, sync: str) -> Binding:
    return Binding(
        exchange=names.STATE,
        key=names.state_key(target, sync),
        queue=names.state_stream(target, sync),
    )
