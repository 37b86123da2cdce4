"""
Which scans of one cause are still under way, so that what they find can be written together.

A declaration of a hundred new images is one cause of a hundred scans.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from shared.contract import ImagesFound


class Cause:
    """The scans of one cause that have not ended yet."""

    def __init__(self) -> None:
        self.under_way = 0
        self._waiting: dict[str, ImagesFound] = {}
        """By repository: what was said last when more might have followed."""

    def told(self, updates: Sequence[ImagesFound]) -> Sequence[ImagesFound]:
        """
        Return what a scan that ends now says: its *updates*, and how many others go on.

        It goes on itself until its last update of a repository. The last scan says what was found
        before it once more, so that nobody waits for it in vain.
        """
        left = self.under_way - 1
        if left:
            self._waiting |= {one.repository: one for one in updates}
        else:
            heard = {one.repository for one in updates}
            late = [one for name, one in self._waiting.items() if name not in heard]
            updates = [*updates, *late]
        last = {one.repository: number for number, one in enumerate(updates)}
        return [
            one.model_copy(update={"under_way": left + (number != last[one.repository])})
            for number, one in enumerate(updates)
        ]


class Causes:
    """All causes that have scans under way, by correlation id."""

    def __init__(self) -> None:
        self._open: dict[str, Cause] = {}

    @contextmanager
    def scan(self, correlation: str) -> Iterator[Cause]:
        """Count a scan of the cause *correlation* for the length of the block."""
        cause = self._open.setdefault(correlation, Cause())
        cause.under_way += 1
        try:
            yield cause
        finally:
            cause.under_way -= 1
            if not cause.under_way:
                del self._open[correlation]
