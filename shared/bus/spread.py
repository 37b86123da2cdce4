"""
Which replica of a stage should have which partition: pure. No broker, no clock.

Every replica computes the same from the same members: rendezvous hashing with quotas, so that each
has the floor or the ceiling of the mean, and a change of members moves few partitions.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256

from shared.contract import PARTITIONS, ReplicaPresent

GONE = 6.0
"""Seconds of silence after which a replica counts as gone."""


def first_choices(replicas: Collection[str]) -> Mapping[int, str]:
    """Return the replica that should have each partition."""
    least, more = divmod(PARTITIONS, len(replicas))
    quotas = {
        replica: least + (place < more)
        for place, replica in enumerate(sorted(replicas, key=lambda one: _weight(one, -1)))
    }
    chosen: dict[int, str] = {}
    wishes = [(_weight(one, number), number, one) for one in replicas for number in _NUMBERS]
    for _, number, replica in sorted(wishes):
        if number not in chosen and quotas[replica]:
            chosen[number] = replica
            quotas[replica] -= 1
    return chosen


@lru_cache(maxsize=16)
def _choices(replicas: frozenset[str]) -> Mapping[int, str]:
    """Return the same, which is asked for every subject of a stage, every second."""
    return first_choices(replicas)


_NUMBERS = range(PARTITIONS)


def _weight(replica: str, number: int) -> bytes:
    return sha256(f"{replica}/{number}".encode()).digest()


@dataclass(slots=True)
class Members:
    """The replicas of one stage, as one of them, *own*, sees them."""

    own: str
    _heard: dict[str, tuple[float, Mapping[int, int]]] = field(default_factory=dict)
    _yielded: dict[int, tuple[str, int, float]] = field(default_factory=dict)
    """By partition: to whom, to which subscription of his, and when."""

    @property
    def count(self) -> int:
        """How many replicas there are, with us."""
        return 1 + len(self._heard)

    def hear(self, said: ReplicaPresent, now: float) -> bool:
        """Take in what a replica says of itself; return whether it is a new one."""
        if said.replica == self.own:
            return False
        is_new = said.replica not in self._heard
        if said.leaving:
            self._heard.pop(said.replica, None)
            return False
        self._heard[said.replica] = now, said.partitions
        return is_new

    def forget(self, now: float) -> None:
        """Forget those who were silent for too long."""
        for replica, (when, _) in list(self._heard.items()):
            if now - when > GONE:
                del self._heard[replica]

    def first_choice(self, number: int) -> str:
        """Return the replica that should have a partition."""
        return _choices(frozenset({self.own, *self._heard}))[number]

    def to_yield(self, consumed: Collection[int], now: float) -> list[int]:
        """
        Return which of the partitions that we consume are to be let go and subscribed to anew.

        The broker gives a partition to whoever subscribed first. So once its first choice has
        subscribed, everybody else goes behind it, once for each of its subscriptions; but no sooner
        than all know who is there. Two who see different members (a replica that has died is still
        counted by those who heard it) would else let go for each other again and again, until the
        broker has delivered what lies there too often.
        """
        choices = _choices(frozenset({self.own, *self._heard}))
        wanted = []
        for number in consumed:
            choice = choices[number]
            subscribed = self._heard[choice][1].get(number) if choice != self.own else None
            if subscribed is not None and self._is_news(number, choice, subscribed, now):
                self._yielded[number] = choice, subscribed, now
                wanted.append(number)
        return wanted

    def _is_news(self, number: int, choice: str, subscribed: int, now: float) -> bool:
        to, last, when = self._yielded.get(number, ("", 0, 0.0))
        return to != choice or (last != subscribed and now - when > GONE)
