"""What repo-writer is ordered to do, and says of it. Shapes follow Flux v1's specs."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.contract.message import Event, Order, Question, Reply, Value


class Cause(Value):
    """Who ordered it, and why."""

    user: str = ""
    message: str = ""


class ImageSpec(Value):
    """A release: which workloads get which image (Flux v1's type `image`)."""

    kind: Literal["image"] = "image"
    workloads: tuple[str, ...]
    """Workload ids, or `<all>`."""
    image: str
    """A reference with tag, or `<all latest>`."""
    excludes: tuple[str, ...] = ()
    force: bool = False


class Change(Value):
    """One container's change of image."""

    container: str
    current: str
    target: str


class ContainersSpec(Value):
    """A release of exactly these containers (Flux v1's type `containers`)."""

    kind: Literal["containers"] = "containers"
    changes: Mapping[str, tuple[Change, ...]]
    """By workload id; an empty *current* skips the precondition."""
    skip_mismatches: bool = False
    force: bool = False


class PolicyChange(Value):
    """Annotations to set and to remove, names without prefix."""

    add: Mapping[str, str] = {}
    remove: tuple[str, ...] = ()


class PolicySpec(Value):
    """Changes of policies by workload id (Flux v1's type `policy`)."""

    kind: Literal["policy"] = "policy"
    changes: Mapping[str, PolicyChange]


class RollbackSpec(Value):
    """Undoing the newest update of workloads, and keeping them from its tags."""

    kind: Literal["rollback"] = "rollback"
    workloads: tuple[str, ...]
    """Workload ids."""


AnySpec = ImageSpec | ContainersSpec | PolicySpec | RollbackSpec
Spec = Annotated[AnySpec, Field(discriminator="kind")]


class UpdateRequested(Order):
    """A person's order to write to a repository."""

    type: ClassVar[str] = "update.requested.v1"
    receiver: ClassVar[str | None] = "repo-writer"

    repository: str
    syncs: tuple[str, ...] = ()
    """Whose workloads are meant: several may declare one of the same name. Empty: all."""
    spec: Spec
    cause: Cause = Cause()

    @property
    def subject(self) -> str:
        """The repository to write to."""
        return self.repository


class WorkloadResult(Value):
    """What an update meant for one workload (Flux v1's statuses and reasons)."""

    status: str
    """success | failed | skipped | ignored"""
    error: str = ""
    changes: tuple[Change, ...] = ()


class PlanQuestion(Question):
    """What would this update change? Nothing is written."""

    type: ClassVar[str] = "plan.question.v1"
    receiver: ClassVar[str | None] = "repo-writer"

    repository: str
    syncs: tuple[str, ...] = ()
    """As in the order."""
    spec: Spec

    @property
    def subject(self) -> str:
        """The repository."""
        return self.repository


class PlanMade(Reply):
    """The answer to *PlanQuestion*."""

    type: ClassVar[str] = "plan.made.v1"

    result: Mapping[str, WorkloadResult] = {}
    error: str | None = None


class UpdatePushed(Event):
    """A commit landed on the branch."""

    type: ClassVar[str] = "update.pushed.v1"
    receiver: ClassVar[str | None] = "git-watcher"

    repository: str
    revision: str
    previous: str
    message: str
    kind: str
    """auto | release | policy"""
    result: Mapping[str, WorkloadResult] = {}
    cause: Cause = Cause()
    branch: str = ""
    """Where it waits to be merged; empty: it is on the branch itself."""
    pull_request: str = ""
    """Where people see it meanwhile."""

    @property
    def subject(self) -> str:
        """The repository."""
        return self.repository


class UpdateRejected(Event):
    """An update was not written: somebody was faster, or it is no longer wanted."""

    type: ClassVar[str] = "update.rejected.v1"

    repository: str
    workload: str
    container: str
    chosen: str
    reason: str
    """superseded | locked | not-automated | policy-changed | not-found | held: <why> |
    unwritable: <why>"""

    @property
    def subject(self) -> str:
        """The repository."""
        return self.repository
