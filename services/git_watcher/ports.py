"""What the handlers need from outside, in our words."""

from collections.abc import Sequence
from typing import Protocol

from shared.contract import Commit


class Mirror(Protocol):
    """One branch, on disk. See `shared.git.mirror`."""

    branch: str

    async def fetch(self) -> str:
        """Return the head of the branch, as the host has it now."""

    async def files(self, revision: str, paths: Sequence[str]) -> list[tuple[str, str]]:
        """Return path and blob of every file below *paths*."""

    async def blobs(self, identities: Sequence[str]) -> list[bytes]:
        """Return the contents of blobs."""

    async def log(self, revision: str, limit: int) -> list[Commit]:
        """Return the newest commits, by first parents."""

    async def ancestors(self, revision: str, limit: int) -> list[str]:
        """Return the revision and those below it, by first parents."""

    async def height(self, revision: str) -> int:
        """Return how many first parents there are below the revision."""

    async def is_ancestor(self, old: str, new: str) -> bool:
        """Tell whether *new* was built on *old*."""

    async def note(self, key: str, text: str | None = None) -> str:
        """Return what is remembered under *key*; with *text*, remember that first."""
