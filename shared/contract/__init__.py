"""
The facts, orders and questions that services exchange, and their envelope.

Everything here is a frozen pydantic model, versioned by its type (`images.found.v1`).
A published field is never renamed and never removed; unknown fields are ignored and enums
are open strings, so that a newer producer never breaks an older consumer.

Read `message` for the families and their routing, then `git`, `images`, `cluster`, `orders`
for what is said; `envelope` is how it travels (CloudEvents 1.0), `registry` the list of all.
"""

from shared.contract.cluster import (
    DriftContested,
    DriftCorrected,
    FieldOwner,
    ObjectResult,
    Rollout,
    SyncCompleted,
    SyncFailed,
    SyncRequested,
    WorkloadChanged,
)
from shared.contract.envelope import Draft, Envelope
from shared.contract.git import (
    Commit,
    Container,
    HeadQuestion,
    HeadTold,
    PollRequested,
    Problem,
    RevisionObserved,
    StateDeclared,
    Workload,
)
from shared.contract.images import (
    ImagesFound,
    ScanCompleted,
    ScanFailed,
    ScanRequested,
    Tag,
    TagsListed,
    TagsQuestion,
)
from shared.contract.message import (
    PARTITIONS,
    Announcement,
    Command,
    Event,
    Message,
    Order,
    Question,
    Reply,
    Signal,
    partition,
)
from shared.contract.orders import (
    DependencyDown,
    DependencyUp,
    OrderAccepted,
    OrderCompleted,
    OrderGiven,
    OrderRejected,
)
from shared.contract.presence import ReplicaPresent
from shared.contract.updates import (
    AnySpec,
    Cause,
    Change,
    ContainersSpec,
    ImageSpec,
    PlanMade,
    PlanQuestion,
    PolicyChange,
    PolicySpec,
    RollbackSpec,
    UpdatePushed,
    UpdateRejected,
    UpdateRequested,
    WorkloadResult,
)

__all__ = [
    "PARTITIONS",
    "Announcement",
    "AnySpec",
    "Cause",
    "Change",
    "Command",
    "Commit",
    "Container",
    "ContainersSpec",
    "DependencyDown",
    "DependencyUp",
    "Draft",
    "DriftContested",
    "DriftCorrected",
    "Envelope",
    "Event",
    "FieldOwner",
    "HeadQuestion",
    "HeadTold",
    "ImageSpec",
    "ImagesFound",
    "Message",
    "ObjectResult",
    "Order",
    "OrderAccepted",
    "OrderCompleted",
    "OrderGiven",
    "OrderRejected",
    "PlanMade",
    "PlanQuestion",
    "PolicyChange",
    "PolicySpec",
    "PollRequested",
    "Problem",
    "Question",
    "ReplicaPresent",
    "Reply",
    "RevisionObserved",
    "RollbackSpec",
    "Rollout",
    "ScanCompleted",
    "ScanFailed",
    "ScanRequested",
    "Signal",
    "StateDeclared",
    "SyncCompleted",
    "SyncFailed",
    "SyncRequested",
    "Tag",
    "TagsListed",
    "TagsQuestion",
    "UpdatePushed",
    "UpdateRejected",
    "UpdateRequested",
    "Workload",
    "WorkloadChanged",
    "WorkloadResult",
    "partition",
]
