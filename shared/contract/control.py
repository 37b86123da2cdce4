"""What people ask of one sync: to rest and to go on, and what it would change."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from shared.contract.message import Event, Order, Question, Reply
from shared.contract.updates import Cause


class SuspendRequested(Order):
    """Leave the target of a sync as it is until somebody resumes it; or resume it."""

    type: ClassVar[str] = "suspend.requested.v1"
    receiver: ClassVar[str | None] = "cluster-applier"

    sync: str
    suspended: bool = True
    """False: go on."""
    cause: Cause = Cause()

    @property
    def subject(self) -> str:
        """The sync."""
        return self.sync


class SyncHeld(Event):
    """A sync is not applied now though it could be: it was suspended, or waits for another one."""

    type: ClassVar[str] = "sync.held.v1"

    sync: str
    target: str
    revision: str = ""
    """The one that would be applied; empty where none is known."""
    reason: str
    """Empty: it is held no more."""
    suspended: bool = False
    """Whether a person wants it, so that only a person ends it."""

    @property
    def subject(self) -> str:
        """The sync."""
        return self.sync


class DiffQuestion(Question):
    """What would applying a sync change now? Nothing is written."""

    type: ClassVar[str] = "diff.question.v1"
    receiver: ClassVar[str | None] = "cluster-applier"

    sync: str

    @property
    def subject(self) -> str:
        """The sync."""
        return self.sync


class ObjectDiff(BaseModel):
    """What would become of one object."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    action: str
    """created | configured | deleted | failed"""
    text: str = ""
    """Its lines as `diff -u` shows them; values of Secrets are left out. Of a failed one: why."""
    file: str = ""
    line: int | None = None


class DiffMade(Reply):
    """The answer to *DiffQuestion*."""

    type: ClassVar[str] = "diff.made.v1"

    revision: str = ""
    """The one that was compared."""
    objects: tuple[ObjectDiff, ...] = ()
    """Those that differ."""
    left_off: int = 0
    """So many more differ, and are not shown."""
    error: str | None = None
