"""What the handlers need from outside, in our words."""

from collections.abc import Collection, Sequence
from typing import Protocol

from shared.images import Candidate
from shared.runtime.errors import PermanentError


class UnreadableError(PermanentError):
    """A registry answered, but not with what was asked for; asking again at once won't help."""


class MissingError(UnreadableError):
    """The registry does not have it (yet)."""


class Registries(Protocol):
    """The registries, by canonical image repository."""

    def requests(self, image: str) -> int:
        """Return how many requests were made for *image* so far."""

    async def tags(self, image: str) -> Sequence[str]:
        """
        Return all tags of *image*; never a part of them.

        Raises:
            TemporaryError: the registry can't be reached, or wants to be left alone for a while.
            UnreadableError: it refuses, or its answer can't be read.
        """

    async def candidates(
        self, image: str, tags: Sequence[str], created: Collection[str]
    ) -> Sequence[Candidate]:
        """
        Return *tags*, those in *created* with their creation time where that can be had.

        Raises:
            TemporaryError: as above; what was read until then is kept for the next try.
        """
