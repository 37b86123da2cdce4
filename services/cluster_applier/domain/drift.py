"""Drift that was seen, and what of it is no longer put back because somebody insists."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from services.cluster_applier.domain.fields import MOST, Entries, Path, lost, our_paths
from shared.manifests.marks import MARK

TIMES = 3
"""So often a field is put back ..."""
WITHIN = 600.0
"""... within so many seconds; then it is contested."""
GONE: Path = ("deleted",)
"""Stands for the deletion of an object, which is counted for itself ..."""
WHOLE: Path = ()
"""... and this for an object of which no single fields can be told."""
MARKED: Path = ("f:metadata", "f:labels", f"f:{MARK}")
"""The label by which we watch an object."""
DELETED, CHANGED, SCALED = "deleted", "changed", "scaled"
"""What happened to an object; the last is no drift, but to be applied anew: somebody else scales it
now, or does no more."""


class Effect(StrEnum):
    """What applying an object did."""

    CREATED = "created"
    CHANGED = "changed"
    NONE = "none"
    """As far as its managedFields tell, which know seconds: it is as it was applied before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One object that differs from what we applied."""

    what: str
    """deleted | changed | scaled"""
    manager: str
    seen: float
    """When, on the loop's clock."""
    version: int = 0
    """The object's resourceVersion then; what was applied later has put it right."""
    managed: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    """Its managedFields then, by which it is told what was changed."""
    fields: str = ""
    """Fingerprint of what was ours of it then."""
    by_us: bool = False
    """Flux itself wrote to it last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """An object that was put back."""

    drift: Drift
    fields: frozenset[Path]
    """Those that somebody had changed or removed."""
    contested: frozenset[Path]
    """What of it is left alone from now on."""


@dataclass(slots=True, kw_only=True)
class Contest:
    """What of one object is left alone until a person or a new revision decides."""

    drift: Drift
    ours: frozenset[Path]
    """The fields that would be ours if nobody insisted."""
    paths: set[Path] = field(default_factory=set)

    def covers(self, drift: Drift) -> bool:
        """Tell whether only that differs which is left alone."""
        return all(self._has(path) for path in causes(drift, self.ours))

    def left(self, drift: Drift) -> list[Path]:
        """Return the fields that others have now, and keep while the rest is put back."""
        changed = drift.what == CHANGED
        return [path for path in lost(drift.managed, self.ours) if path in self.paths and changed]

    def applied(self, ours: frozenset[Path]) -> None:
        """Note which fields are ours now, without those that were left out."""
        self.ours = ours | {path for path in self.ours if self._has(path)}

    def _has(self, path: Path) -> bool:
        outer = (path[:end] for end in range(len(path) + 1))
        return path in self.paths if path == GONE else any(one in self.paths for one in outer)


@dataclass(slots=True)
class Drifts:
    """What of one sync differs now, and how often each field did."""

    pending: dict[str, Drift] = field(default_factory=dict)
    """By object id: seen, and not put back yet."""
    contested: dict[str, Contest] = field(default_factory=dict)
    """By object id."""
    _corrected: dict[tuple[str, Path], tuple[float, ...]] = field(default_factory=dict)

    def see(self, name: str, drift: Drift) -> bool:
        """Note a difference; return whether it is to be put back."""
        contest = self.contested.get(name)
        if contest and drift.what != SCALED and contest.covers(drift):
            return False
        known = self.pending.get(name)
        if known and drift.what == SCALED:
            return True
        self.pending[name] = replace(drift, seen=known.seen) if known else drift
        return True

    def left(self, name: str) -> list[Path]:
        """Return which fields of an object are to be left out when it is applied."""
        contest, drift = self.contested.get(name), self.pending.get(name)
        return contest.left(drift) if contest and drift else []

    def correct(
        self,
        name: str,
        version: int,
        now: float,
        managed: Entries = (),
        *,
        effect: Effect = Effect.CREATED,
    ) -> Corrected | None:
        """
        Note that an object was applied, which made it *version*, *managed* by these.

        Return the drift that this put right, if any, and what of it is contested now. A drift that
        came later stays. What had not to be created has not been deleted: it had lost the mark by
        which we watch it, or it is served in another version only.
        """
        drift = self.pending.get(name)
        if drift is None or drift.version > version:
            return None
        del self.pending[name]
        ours, contest = our_paths(managed), self.contested.get(name)
        if contest:
            contest.applied(ours)
        # What no list showed may be there: the kind was asked for in a version that has gone.
        unseen = drift.what == DELETED and not drift.version and effect is Effect.NONE
        if drift.what == SCALED or drift.version == version or unseen:
            return None  # nothing was changed back
        put = causes(drift, ours)
        often = frozenset(path for path in put if self._is_often(name, path, now))
        if often:
            contest = contest or self.contested.setdefault(name, Contest(drift=drift, ours=ours))
            contest.paths |= often
        if drift.what == CHANGED:
            changed = frozenset(lost(drift.managed, ours))
        else:
            changed = frozenset() if effect is Effect.CREATED else frozenset({MARKED})
        told = replace(drift, what=CHANGED) if changed else drift
        return Corrected(drift=told, fields=changed, contested=often)

    def _is_often(self, name: str, path: Path, now: float) -> bool:
        times = (*self._corrected.get((name, path), ()), now)[-TIMES:]
        self._corrected[name, path] = times
        return len(times) == TIMES and now - times[0] < WITHIN

    def forgive(self) -> None:
        """Begin anew: a person or a new revision has decided, so git counts again."""
        self.pending |= {name: contest.drift for name, contest in self.contested.items()}
        self.contested.clear()
        self._corrected.clear()


def causes(drift: Drift, ours: frozenset[Path]) -> list[Path]:
    """Return what is counted of a drift: its fields where they can be told, and are not many."""
    if drift.what == DELETED:
        return [GONE]
    paths = lost(drift.managed, ours)
    return paths if 0 < len(paths) <= MOST else [WHOLE]
