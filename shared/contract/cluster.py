"""What cluster-applier is asked and says: what was applied, what runs, what differed."""

from collections.abc import Mapping
from typing import ClassVar

from shared.contract.git import Problem
from shared.contract.message import Event, Signal, Value


class SyncRequested(Signal):
    """Make the target equal to what the sync declares, now."""

    type: ClassVar[str] = "sync.requested.v1"
    receiver: ClassVar[str | None] = "cluster-applier"

    sync: str
    reason: str = "tick"
    """tick | person | drift | again"""
    objects: tuple[str, ...] = ()
    """For drift: the ids of the objects that differ."""
    allow_prune: str = ""
    """The revision that may take away more than the sync's limit: a person has confirmed it."""

    @property
    def subject(self) -> str:
        """The sync."""
        return self.sync


class ObjectResult(Value):
    """What became of one object."""

    id: str
    """`group/Kind namespace/name`, see `shared.manifests.ids`."""
    action: str
    """created | configured | unchanged | deleted | skipped | failed"""
    message: str = ""
    file: str = ""
    line: int | None = None


class ObjectHealth(Value):
    """An object that is not ready."""

    id: str
    health: str
    """progressing | failed | terminating | unknown"""
    message: str = ""


class SyncCompleted(Event):
    """A revision was applied; single objects may have failed."""

    type: ClassVar[str] = "sync.completed.v1"
    receiver: ClassVar[str | None] = "repo-writer"

    sync: str
    target: str
    repository: str
    revision: str
    counts: Mapping[str, int] = {}
    """How many objects by action."""
    objects: tuple[ObjectResult, ...] = ()
    """All that are not `unchanged`."""
    problems: tuple[Problem, ...] = ()
    pruned: bool = True
    """False where pruning was suspended, for the reason in *prune_reason*."""
    prune_reason: str = ""
    prune_held: int = 0
    """Objects that would be deleted, but wait until a person allows it."""
    seconds: float = 0.0
    requests: int = 0
    healthy: bool | None = None
    """Whether all of it is ready; None where the sync does not wait for that. False: the deadline
    has passed. It is said again once all is ready."""
    unhealthy: tuple[ObjectHealth, ...] = ()
    """What is not ready, 50 objects at most."""

    @property
    def subject(self) -> str:
        """The repository, whose tag says how far the sync is."""
        return self.repository


class SyncFailed(Event):
    """A sync could not be applied at all."""

    type: ClassVar[str] = "sync.failed.v1"

    sync: str
    target: str
    revision: str = ""
    reason: str

    @property
    def subject(self) -> str:
        """The sync."""
        return self.sync


class Rollout(Value):
    """How far a workload's rollout is; `messages` only where something is wrong."""

    desired: int = 0
    updated: int = 0
    ready: int = 0
    available: int = 0
    outdated: int = 0
    messages: tuple[str, ...] = ()


class WorkloadChanged(Event):
    """The live status of a workload, or of a custom resource that tells how it does."""

    type: ClassVar[str] = "workload.changed.v1"

    sync: str
    """Empty for one that is in no sync."""
    target: str
    id: str
    containers: Mapping[str, str] = {}
    """Running image by container."""
    status: str = "unknown"
    """started | updating | ready | error | unknown | gone"""
    health: str = "unknown"
    """ready | progressing | failed | terminating | unknown, by the rules of kstatus"""
    message: str = ""
    """Why it is not ready."""
    rollout: Rollout = Rollout()
    labels: Mapping[str, str] = {}

    @property
    def subject(self) -> str:
        """The sync."""
        return self.sync


class FieldOwner(Value):
    """A field of an object, and who owns it; values are never told."""

    field: str
    """As the API server writes it: `.spec.template.spec.containers[name="web"].image`."""
    manager: str = ""
    """Empty where nobody owns it: somebody removed it."""


class DriftCorrected(Event):
    """The cluster differed from git and was put back."""

    type: ClassVar[str] = "drift.corrected.v1"

    sync: str
    target: str
    id: str
    what: str
    """deleted | changed"""
    manager: str = ""
    """Who changed it, as far as the API server tells."""
    fields: tuple[FieldOwner, ...] = ()
    """What was changed or removed, 20 fields at most."""
    seconds: float
    """From the moment the change was seen to the moment it was put back."""

    @property
    def subject(self) -> str:
        """The sync."""
        return self.sync


class DriftContested(Event):
    """Somebody keeps changing fields of an object, or keeps deleting it: that is left alone."""

    type: ClassVar[str] = "drift.contested.v1"

    sync: str
    target: str
    id: str
    manager: str = ""
    fields: tuple[FieldOwner, ...] = ()
    """Those that are left alone; none where it is the object as a whole."""
    what: str = "changed"
    """deleted | changed"""
    times: int

    @property
    def subject(self) -> str:
        """The sync."""
        return self.sync
