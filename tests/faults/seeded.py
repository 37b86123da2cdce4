"""
What happens in a run of faults, by its seed alone: pure. No process, no clock.

Each replica has a row of faults of its own, one for each start, so that how fast another one dies
changes nothing of it.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from signal import SIGKILL, SIGTERM, Signals

WORKLOADS = tuple(f"w{number}" for number in range(8))

_BUS = ("publish.before", "publish.after", "ack.before", "ack.after")
POINTS: Mapping[str, Sequence[str]] = {
    "repo-writer": (*_BUS, "push.before", "push.after"),
    "git-watcher": (*_BUS, "bundle.before", "bundle.after", "marker.before", "marker.after"),
    "registry-scanner": _BUS,
    "cluster-applier": (
        *_BUS,
        *("apply.before", "apply.after", "inventory.before", "inventory.after"),
    ),
}
_WHATS = (*("crash",) * 7, "freeze", "drop", "delay:1.5")
_HARMLESS = 0.2
"""So many starts without a fault, so that no message dies of how often it was delivered."""


class Faults:
    """The faults of one replica, start by start, and how long each freeze of it takes."""

    def __init__(self, seed: str, replica: str) -> None:
        self._random = random.Random(f"{seed}/{replica}")
        self._points = POINTS.get(replica.partition(".")[0], ())

    def next(self) -> str:
        """Return what to arm at the next start; empty for nothing."""
        harmless, time = self._random.random() < _HARMLESS, self._random.randint(1, 2)
        if harmless or not self._points:
            return ""
        return f"{self._random.choice(self._points)}={self._random.choice(_WHATS)}@{time}"

    def freeze(self) -> float:
        """Return how many seconds a freeze takes."""
        return self._random.uniform(0.5, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """What people and builds do at one moment."""

    images: tuple[str, ...]
    """Workloads of which a newer image is pushed."""
    locked: str
    """A workload that is locked, and unlocked at once; or none."""
    edited: str
    """A workload whose ConfigMap a person changes in git; or none."""
    pause: float
    """Seconds before the next wave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What happens between two looks at all rules."""

    ends: Mapping[str, Signals]
    """Replicas that are ended at its beginning, and how."""
    waves: tuple[Wave, ...]


class Rounds:
    """The rounds of one world."""

    def __init__(self, seed: str, replicas: Sequence[str]) -> None:
        self._random = random.Random(seed)
        self._replicas = replicas

    def next(self) -> Round:
        """Return what happens in the next round."""
        ends = self._random.sample(self._replicas, self._random.randint(1, 3))
        return Round(
            ends={name: self._random.choice((SIGKILL, SIGTERM)) for name in ends},
            waves=tuple(self._wave() for _ in range(self._random.randint(1, 3))),
        )

    def _wave(self) -> Wave:
        chosen = self._random.sample(WORKLOADS, self._random.randint(1, len(WORKLOADS)))
        locked, edited = self._random.sample(WORKLOADS, 2)
        return Wave(
            images=tuple(chosen),
            locked=locked if self._random.random() < 0.3 else "",
            edited=edited if self._random.random() < 0.3 else "",
            pause=self._random.uniform(0, 0.8),
        )
