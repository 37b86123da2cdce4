"""How an object does, and what of its status says so; whatever stands there can be read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

READY, PROGRESSING, FAILED, TERMINATING = "ready", "progressing", "failed", "terminating"

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How an object does."""

    state: str = READY
    """ready | progressing | failed | terminating"""
    message: str = ""
    """Why it is not ready."""

    @property
    def ready(self) -> bool:
        """Whether it does what it is for."""
        return self.state == READY


def progressing(message: str) -> Health:
    """Return that something is on its way."""
    return Health(state=PROGRESSING, message=message)


def failed(message: str) -> Health:
    """Return that it won't become ready by itself."""
    return Health(state=FAILED, message=message)


def counted(*counts: tuple[int, int, str]) -> Health:
    """Return ready where of each count there are as many as wanted: *found*, *wanted*, *what*."""
    for found, wanted, what in counts:
        if found < wanted:
            return progressing(f"{found} of {wanted} {what}")
    return Health()


def conditions(value: Object) -> Iterator[Object]:
    """Yield the conditions of an object."""
    found = mapping(value, "status").get("conditions")
    for one in found if isinstance(found, list) else ():
        if isinstance(one, Mapping):
            yield one


def condition(value: Object, kind: str) -> Object:
    """Return a condition; empty where there is none."""
    return next((one for one in conditions(value) if one.get("type") == kind), {})


def holds(value: Object, kind: str, status: str = "True") -> bool:
    """Tell whether a condition has this status."""
    return bool(condition(value, kind).get("status") == status)


def said(one: Object) -> str:
    """Return what a condition says in words."""
    words = one.get("message") or one.get("reason") or f"{one.get('type')} is {one.get('status')}"
    return str(words)[:500]


def mapping(value: Object, key: str) -> Object:
    """Return a mapping under a key; empty where there is none."""
    found = value.get(key)
    return found if isinstance(found, Mapping) else {}


def number(value: Object, key: str, default: int = 0) -> int:
    """Return a whole number under a key."""
    found = value.get(key, default)
    return found if isinstance(found, int) else default
