"""Drift that was seen, and when it is no longer put back because somebody insists."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

TIMES = 3
"""So often an object is put back ..."""
WITHIN = 600.0
"""... within so many seconds; then it is contested."""
SCALED = "scaled"
"""No drift, but to be applied anew: somebody else scales it now, or does no more."""


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


@dataclass(slots=True)
class Drifts:
    """What of one sync differs now, and how often each object did."""

    pending: dict[str, Drift] = field(default_factory=dict)
    """By object id: seen, and not put back yet."""
    contested: dict[str, Drift] = field(default_factory=dict)
    """By object id: left alone until a person or a new revision decides."""
    _corrected: dict[str, deque[float]] = field(default_factory=dict)

    def see(self, name: str, drift: Drift) -> bool:
        """Note a difference; return whether it is to be put back."""
        if name in self.contested:
            return False
        known = self.pending.get(name)
        if known and drift.what == SCALED:
            return True
        self.pending[name] = replace(drift, seen=known.seen) if known else drift
        return True

    def correct(self, name: str, version: int, now: float) -> tuple[Drift, bool] | None:
        """
        Note that an object was applied, which made it *version*.

        Return the drift that this put right, and whether the object is contested now. A drift that
        came later stays.
        """
        drift = self.pending.get(name)
        if drift is None or drift.version > version:
            return None
        del self.pending[name]
        if drift.what == SCALED:
            return None
        times = self._corrected.setdefault(name, deque(maxlen=TIMES))
        times.append(now)
        often = len(times) == TIMES and now - times[0] < WITHIN
        if often:
            self.contested[name] = drift
        return drift, often

    def forgive(self) -> None:
        """Begin anew: a person or a new revision has decided, so git counts again."""
        self.pending |= self.contested
        self.contested.clear()
        self._corrected.clear()
