"""What is said of a sync, and what about it is not yet as it should be."""

import time
from dataclasses import dataclass, field

from shared.bundle.format import Bundle
from shared.contract import StateDeclared
from shared.runtime.errors import FluxError, TemporaryError


@dataclass(slots=True, kw_only=True)
class Declaration:
    """What a sync declares at a revision, ready to be said. Times are of the monotonic clock."""

    state: StateDeclared
    bundle: Bundle
    config: str
    """The digest of the settings that it was rendered with."""
    failure: FluxError | None = None
    """Why a part of it is only what was declared before: its generators did not run."""
    made: float = field(default_factory=time.monotonic)
    said: float = float("-inf")
    """When it was said last."""

    def may_succeed(self, interval: float) -> bool:
        """
        Tell whether to try again what failed.

        What a command lacks may come without a commit, with the next image of the renderer.
        """
        if isinstance(self.failure, TemporaryError):
            return True
        return self.failure is not None and time.monotonic() - self.made >= interval
