"""
Who of a kind may be sent now: one alone, until it is known that its kind is answered.

A webhook that hangs is met by the first of a kind that it selects, by nobody else, and in the next
round by one alone of all kinds that it holds up. What it does not select goes on beside them. What
failed goes last in the next round, so that it holds up nobody for long.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from services.cluster_applier.domain.selection import Selected
from shared.manifests import ObjectId

T = TypeVar("T")

Kind = tuple[str, str]
"""Group and kind."""
Key = Kind | str
"""Of a lane: a kind, or the name of a webhook that holds up some of them."""

SLOW = 0.5
"""Seconds after which others of a kind wait for one that has not been answered."""
ENOUGH = 3
"""So many of a kind in a row fail for a while; then the others are not tried in this round."""
BESIDE = 16
"""So many of a kind are sent at most at a time though it is not their turn."""


@dataclass(slots=True)
class Hung:
    """The webhooks that did not answer in a round."""

    kinds: dict[Kind, set[str]] = field(default_factory=dict)
    """Their names, by the kinds that they hold up."""
    times: Counter[str] = field(default_factory=Counter)
    """By object id: how often it failed for a while in this and the rounds before."""
    troubled: bool = False
    """Whether anything failed so in this round."""


@dataclass(slots=True)
class _Lane(Generic[T]):
    """Those who would meet the same webhook."""

    open: bool = False
    """Whether one was answered: then many may go at a time."""
    under_way: int = 0
    slow: int = 0
    beside: int = 0
    """Of those under way: not answered for a while; sent though it was not their turn."""
    failed: bool = False
    troubles: int = 0
    """So many in a row, other than a webhook's."""
    over: str = ""
    """Why no more of them are tried, if so."""
    aside: list[T] = field(default_factory=list)

    @property
    def free(self) -> bool:
        return not self.slow and (self.open or not self.under_way)

    def has_room(self, *, beside: bool) -> bool:
        return self.beside < (BESIDE if self.free else 1) if beside else self.free


@dataclass(slots=True)
class _Taken(Generic[T]):
    """A turn that somebody has."""

    lane: _Lane[T]
    spared_by: frozenset[str]
    """The webhooks known to hang that do not select it."""
    beside: bool
    slow: bool = False

    def become_slow(self) -> None:
        self.slow = True
        self.lane.slow += 1


class Turns(Generic[T]):
    """
    The kinds of one round; *before*: what hung in the last one.

    It does not know who asks: a round that it led back to would outlive its end, and its objects.
    """

    def __init__(self, before: Hung | None = None) -> None:
        self._before = before or Hung()
        self._lanes: dict[Key, _Lane[T]] = {}
        self._taken: dict[ObjectId, _Taken[T]] = {}
        """By who is under way."""
        self._beside: list[T] = []
        """Those who wait to go beside the others."""
        self._mistaken: set[str] = set()
        """Webhooks that were met by what they do not select, by all that is known."""
        self._unknown: dict[str, str] = {}
        """By webhook: why it can't be told what it selects."""
        self.hung = Hung(times=self._before.times if self._before.troubled else Counter())

    def order(self, named: ObjectId) -> int:
        """Return after which others one goes: it may be the only one that fails."""
        return self.hung.times[str(named)]

    async def lane(
        self, named: ObjectId, item: T, selects: Callable[[str, T], Awaitable[Selected]]
    ) -> Key:
        """Return where *item* belongs by the webhooks that hang, as *selects* says of each."""
        for webhook in sorted(self._silent(named.key)):
            if webhook in self._mistaken:
                return webhook
            said = await selects(webhook, item)
            if said.yes:
                self._unknown[webhook] = said.unknown or self._unknown.get(webhook, "")
                return webhook
        return named.key

    def reason_to_hold(self, key: Key) -> str:
        """Return why nothing in a lane is tried any more, if so."""
        over, unknown = self._lane(key).over, self._unknown.get(str(key))
        if over and unknown:
            return f"{over}; which objects it selects can't be told: {unknown}"
        return over

    def put_aside(self, key: Key, item: T, *, beside: bool = False) -> bool:
        """
        Keep *item* for later where it is not its turn; return whether it had to be.

        *beside*: it goes though it is not its turn, where not many do so already.
        """
        lane = self._lane(key)
        has_room = lane.has_room(beside=beside)
        if not has_room:
            (self._beside if beside else lane.aside).append(item)
        return not has_room

    def one_beside(self) -> T | None:
        """Return one of those that wait to go beside the others, for each that has ended."""
        return self._beside.pop(0) if self._beside else None

    @contextmanager
    def taken(self, key: Key, named: ObjectId, *, beside: bool = False) -> Iterator[None]:
        """Be under way for the length of the block."""
        lane, spared_by = self._lane(key), frozenset(self._silent(named.key))
        taken = self._taken[named] = _Taken(lane=lane, spared_by=spared_by, beside=beside)
        lane.under_way += 1
        lane.beside += beside
        timer = asyncio.get_running_loop().call_later(SLOW, taken.become_slow)
        try:
            yield
            lane.open = lane.open or not lane.failed
        finally:
            timer.cancel()
            del self._taken[named]
            lane.under_way -= 1
            lane.beside -= beside
            lane.slow -= taken.slow

    def answered(self, named: ObjectId) -> None:
        """Note that the server had an answer, be it a refusal."""
        lane = self._taken[named].lane
        lane.open, lane.troubles = True, 0

    def failed(self, named: ObjectId, webhook: str = "") -> None:
        """Note that one failed for a while; *webhook*: that this is why."""
        taken = self._taken[named]
        lane, self.hung.troubled = taken.lane, True
        lane.failed = True
        self.hung.times[str(named)] += 1
        if webhook:
            self._hang(named, webhook)
            if webhook in taken.spared_by and lane is not self._lane(webhook):
                self._mistaken.add(webhook)
            return
        # Where none was answered yet, and one took its time, each of the others would as well.
        lane.troubles += ENOUGH if taken.slow and not lane.open else 1
        if lane.troubles >= ENOUGH:
            lane.over = f"not tried: other objects of kind {named.kind} failed"

    def due(self) -> list[T]:
        """Return what was put aside, and may go now."""
        found: list[T] = []
        for lane in self._lanes.values():
            if lane.over or lane.free:
                count = len(lane.aside) if lane.over or lane.open else 1
                found += lane.aside[:count]
                del lane.aside[:count]
        return found

    def _hang(self, named: ObjectId, webhook: str) -> None:
        """Note that *webhook* does not answer, and whom it holds up."""
        same = {kind for kind, names in self._before.kinds.items() if webhook in names}
        for kind in {named.key, *same}:
            self.hung.kinds.setdefault(kind, set()).add(webhook)
        self._lane(webhook).over = f"not tried: the webhook {webhook} does not answer"

    def _silent(self, kind: Kind) -> set[str]:
        """Return the webhooks that hung for a kind, in this round or in the one before."""
        return self._before.kinds.get(kind, set()) | self.hung.kinds.get(kind, set())

    def _lane(self, key: Key) -> _Lane[T]:
        return self._lanes.setdefault(key, _Lane())
