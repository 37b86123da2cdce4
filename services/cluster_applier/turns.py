"""
Who of a kind may be sent now: one alone, until it is known that its kind is answered.

A webhook answers for all objects of a kind. One that hangs is met by the first of them, by nobody
else, and in the next round by one alone of all kinds that it holds up.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

Kind = tuple[str, str]
"""Group and kind."""

SLOW = 0.5
"""Seconds after which others of a kind wait for one that has not been answered."""
ENOUGH = 3
"""So many of a kind in a row fail for a while; then the others are not tried in this round."""


@dataclass(slots=True)
class _Lane(Generic[T]):
    """Those who would meet the same webhook."""

    open: bool = False
    """Whether one was answered: then many may go at a time."""
    under_way: int = 0
    slow: int = 0
    """Of those under way."""
    troubles: int = 0
    over: str = ""
    """Why no more of them are tried, if so."""
    aside: list[T] = field(default_factory=list)

    @property
    def free(self) -> bool:
        return not self.slow and (self.open or not self.under_way)


class Turns(Generic[T]):
    """The kinds of one round; *hung*: the webhooks that did not answer in the one before."""

    def __init__(self, hung: Mapping[Kind, str] | None = None) -> None:
        self._hung = hung or {}
        self._lanes: dict[Kind | str, _Lane[T]] = {}
        self.hung: dict[Kind, str] = {}
        """By kind: the webhook that did not answer in this round."""

    def reason_to_hold(self, kind: Kind) -> str:
        """Return why nothing of a kind is tried any more, if so."""
        return self._lane(kind).over

    def put_aside(self, kind: Kind, item: T) -> bool:
        """Keep *item* for later where it is not its turn; return whether it had to be."""
        lane = self._lane(kind)
        if not lane.free:
            lane.aside.append(item)
        return not lane.free

    @contextmanager
    def taken(self, kind: Kind) -> Iterator[None]:
        """Be under way for the length of the block."""
        lane, is_slow = self._lane(kind), False

        def slow() -> None:
            nonlocal is_slow
            is_slow = True
            lane.slow += 1

        lane.under_way += 1
        timer = asyncio.get_running_loop().call_later(SLOW, slow)
        try:
            yield
            lane.open = lane.open or not lane.troubles
        finally:
            timer.cancel()
            lane.under_way -= 1
            lane.slow -= is_slow

    def answered(self, kind: Kind) -> None:
        """Note that the server had an answer, be it a refusal."""
        lane = self._lane(kind)
        lane.open, lane.troubles = True, 0

    def failed(self, kind: Kind, webhook: str = "") -> None:
        """Note that one of a kind failed for a while; *webhook*: that this is why."""
        lane = self._lane(kind)
        lane.troubles += 1
        if webhook:
            same = {one for one, name in self._hung.items() if name == self._hung.get(kind)}
            self.hung |= dict.fromkeys({kind, *same}, webhook)
            lane.over = f"not tried: the webhook {webhook} does not answer"
        elif lane.troubles >= ENOUGH:
            lane.over = f"not tried: other objects of kind {kind[1]} failed"

    def due(self) -> list[T]:
        """Return what was put aside, and may go now."""
        found: list[T] = []
        for lane in self._lanes.values():
            if lane.over or lane.free:
                count = len(lane.aside) if lane.over or lane.open else 1
                found += lane.aside[:count]
                del lane.aside[:count]
        return found

    def _lane(self, kind: Kind) -> _Lane[T]:
        return self._lanes.setdefault(self._hung.get(kind, kind), _Lane())
