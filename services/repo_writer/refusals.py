"""
What a host refused is not pushed to it again and again.

Updates are found at every scan for as long as they hold, so a protected branch would be knocked at
all day. A person's order is tried at once, whenever it comes.
"""

import asyncio
from collections.abc import Iterable

from shared.contract import ImagesFound

PATIENCE = 600.0
"""Seconds after which the same updates are tried again on the same head: rules are changed."""

Key = tuple[str, str, frozenset[tuple[str, str, str]]]
"""Repository, head and updates."""


class Refusals:
    """Which updates were refused on which head, in the words of the host."""

    def __init__(self) -> None:
        self._reasons: dict[Key, tuple[float, str]] = {}

    def add(self, repository: str, head: str, found: Iterable[ImagesFound], reason: str) -> None:
        """Remember a refusal; what is too old is forgotten."""
        now = asyncio.get_running_loop().time()
        self._reasons = {key: one for key, one in self._reasons.items() if one[0] > now}
        self._reasons[_key(repository, head, found)] = (now + PATIENCE, reason)

    def reason(self, repository: str, head: str, found: Iterable[ImagesFound]) -> str:
        """Return why the same was refused lately; empty if it was not."""
        until, reason = self._reasons.get(_key(repository, head, found), (0.0, ""))
        return reason if until > asyncio.get_running_loop().time() else ""


def _key(repository: str, head: str, found: Iterable[ImagesFound]) -> Key:
    updates = frozenset((one.workload, one.container, one.chosen) for one in found)
    return repository, head, updates
