"""What Flux wrote to git, as its commits tell it, and what of it must never be: pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

_UPDATE = re.compile(r"Flux-Update: \S+:deployment/(\S+) main \S+:(\S+) -> \S+:(\S+)")
_ORDER = re.compile(r"^Flux-Order: (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit, perhaps one of Flux."""

    revision: str
    updates: tuple[tuple[str, str, str], ...]
    """Workload, tag before, tag after."""
    order: str
    is_ours: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a revision, and after it the message."""
        revision, _, message = text.partition("\n")
        order = _ORDER.search(message)
        return cls(
            revision=revision,
            updates=tuple(_UPDATE.findall(message)),
            order=order[1] if order else "",
            is_ours="Flux-Kind: " in message,
        )

    def backwards(self) -> list[tuple[str, str, str]]:
        """Return the updates to an image that is not newer."""
        return [one for one in self.updates if _number(one[2]) <= _number(one[1])]


@dataclass(slots=True)
class Written:
    """All commits of Flux."""

    revisions: set[str] = field(default_factory=set)
    _updates: set[tuple[str, str]] = field(default_factory=set)
    _orders: set[str] = field(default_factory=set)

    def doubled(self, commit: Commit) -> list[object]:
        """Return what of *commit* was written before."""
        again = [
            (name, after) for name, _, after in commit.updates if (name, after) in self._updates
        ]
        return [*again, *({commit.order} & self._orders)]

    def add(self, commit: Commit) -> None:
        """Take in a commit."""
        self._updates |= {(name, after) for name, _, after in commit.updates}
        self._orders |= {commit.order} - {""}
        self.revisions |= {commit.revision} if commit.is_ours else set()

    def missing(self, versions: Mapping[str, int]) -> list[str]:
        """Return the workloads whose newest version, 1.N.0, was never written."""
        newest = {(name, f"1.{number}.0") for name, number in versions.items() if number}
        return sorted(name for name, _ in newest - self._updates)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
