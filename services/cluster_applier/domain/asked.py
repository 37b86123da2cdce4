"""What a group of messages about one sync asks for, all together."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from shared.contract import Message, StateDeclared, SuspendRequested, SyncRequested


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One look at a sync, however many asked for it."""

    digest: str = ""
    """Of the bundle that was declared last; empty where nobody named one."""
    person: bool = False
    tick: bool = False
    """Everything is to be compared."""
    timer: bool = False
    """The time is up: what was missed of bundles is to be read, too."""
    allow_prune: str = ""
    """A revision that may take away more than the limit."""
    drifted: frozenset[str] = field(default_factory=frozenset)


def asked(messages: Iterable[Message]) -> Asked:
    """Return what *messages* ask for, the last declaration counting."""
    digest, allow_prune, reasons, drifted = "", "", set(), set()
    for message in messages:
        match message:
            case StateDeclared():
                digest = message.bundle
            case SuspendRequested(suspended=False):
                reasons.add("person")
            case SyncRequested():
                reasons.add(message.reason)
                drifted |= set(message.objects)
                allow_prune = message.allow_prune or allow_prune
    return Asked(
        digest=digest,
        person="person" in reasons,
        tick=bool(reasons & {"tick", "person"}),
        timer="tick" in reasons,
        allow_prune=allow_prune,
        drifted=frozenset(drifted),
    )
