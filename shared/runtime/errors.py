"""
The vocabulary of failure in handlers; adapters translate their library's errors into it.

Anything else that leaves a handler is a bug and keeps its traceback.
"""


class FluxError(Exception):
    """A failure that we foresaw, told in a sentence."""


class TemporaryError(FluxError):
    """
    A dependency is down; the same work may succeed later.

    *dependency* names it for people, for `/readyz` and as a metric: `git host git.example.com`.
    """

    def __init__(self, dependency: str, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"{dependency}: {reason}")
        self.dependency = dependency
        self.reason = reason
        self.retry_after = retry_after
        """Seconds after which the dependency wants to be asked again, where it said so."""


class PermanentError(FluxError):
    """What was asked can't be done, now or later; the sentence says why and what to do."""
