"""What the handlers need from outside, in our words."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from services.cluster_applier.domain.asked import Asked
from services.cluster_applier.domain.drift import Drift, Effect
from shared.contract import DiffMade, Message, SuspendRequested

Tell = Callable[[Sequence[Message]], Awaitable[None]]
"""Publishes; returns when the broker has all of it."""


class Syncing(Protocol):
    """Makes one sync's part of a cluster equal to git."""

    @property
    def place(self) -> AbstractAsyncContextManager[object]:
        """One of those that its target has for what is worked on; taken while it is."""

    async def reconcile(self, asked: Asked, tell: Tell) -> None:
        """
        Apply what differs, and tell what came of it.

        Raises:
            TemporaryError: the cluster can't be reached.
            PermanentError: it can't be done; the sentence says why.
        """

    async def suspend(self, order: SuspendRequested) -> None:
        """
        Let the sync rest, or go on.

        Raises:
            PermanentError: it can't be noted.
        """

    async def diff(self) -> DiffMade:
        """
        Return what applying the sync would change now.

        Raises:
            TemporaryError: the cluster can't be reached.
        """

    def failed(self, reason: str) -> Message:
        """Return what is to be told where nothing could be done."""


class Answered(Protocol):
    """Told object id, metadata and, if there was, drift that came while it was being applied."""

    def __call__(
        self, name: str, metadata: Mapping[str, Any], late: Drift | None, *, effect: Effect
    ) -> None:
        """Take it in, with what applying it did."""
