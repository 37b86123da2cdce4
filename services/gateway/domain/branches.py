"""The order of a branch's commits, as far as it was told, and how far each sync has come."""

from collections.abc import Iterable, Sequence

DEPTH = 1_000
"""Commits of a branch that are remembered."""
SHORTEST = 4
"""Characters of a revision by which git finds it."""


class Branch:
    """The newest commits of one branch, the newest first."""

    def __init__(self, revisions: Sequence[str] = ()) -> None:
        self.revisions: list[str] = [*revisions]

    def observe(self, newest_first: Sequence[str]) -> None:
        """Put what git-watcher saw in front of what is older."""
        seen = set(newest_first)
        older = [known for known in self.revisions if known not in seen]
        # What lies above the oldest commit seen was rewritten, or is not seen yet: it is dropped.
        common = next((n for n, known in enumerate(self.revisions) if known in seen), 0)
        tail = [known for known in self.revisions[common:] if known in older]
        self.revisions = [*newest_first, *tail][:DEPTH]

    def push(self, revision: str) -> None:
        """Put a commit of our own on top, before git-watcher has seen it."""
        if revision not in self.revisions:
            self.revisions = [revision, *self.revisions][:DEPTH]

    def find(self, ref: str) -> int | None:
        """Return how far below the head *ref* (a revision or its beginning) is."""
        if len(ref) < SHORTEST:
            return None
        meant = ref.lower()
        return next((n for n, known in enumerate(self.revisions) if known.startswith(meant)), None)

    def pending(self, ref: int, applied: Iterable[str]) -> list[str]:
        """Return the commits up to *ref*, the newest first, that some sync has not applied."""
        places = [self.find(revision) if revision else None for revision in applied]
        oldest = max(
            (len(self.revisions) if place is None else place for place in places), default=ref
        )
        return self.revisions[ref:oldest]
