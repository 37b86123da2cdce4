"""The life of an order, and of what we depend on. The correlation id is the job's id."""

from collections.abc import Mapping
from typing import Any, ClassVar

from shared.contract.message import Event
from shared.contract.updates import WorkloadResult


class OrderGiven(Event):
    """A person asked for something; the orders that it becomes have its job as correlation id."""

    type: ClassVar[str] = "order.given.v1"

    target: str
    """Whose gateway was asked."""
    orders: int = 1
    """How many it becomes: one for each repository concerned."""
    plan: bool = False
    """A dry run: nothing is written."""
    spec: Mapping[str, Any] | None = None
    """As the client sent it, in Flux v1's shape; None for a sync."""
    owner: str = "repo-writer"
    """The stage that is to carry it out."""

    @property
    def subject(self) -> str:
        """The target."""
        return self.target


class OrderAccepted(Event):
    """The stage that owns an order has begun to work on it."""

    type: ClassVar[str] = "order.accepted.v1"

    order: str
    """The order's id."""
    about: str
    """The subject of the order."""

    @property
    def subject(self) -> str:
        """What the order is about."""
        return self.about


class OrderCompleted(Event):
    """An order was carried out; *revision* is empty where nothing needed writing."""

    type: ClassVar[str] = "order.completed.v1"

    order: str
    about: str
    revision: str = ""
    result: Mapping[str, WorkloadResult] = {}

    @property
    def subject(self) -> str:
        """What the order is about."""
        return self.about


class OrderRejected(Event):
    """An order was not carried out, and why, in a sentence for the person who gave it."""

    type: ClassVar[str] = "order.rejected.v1"

    order: str
    about: str
    reason: str

    @property
    def subject(self) -> str:
        """What the order is about."""
        return self.about


class DependencyDown(Event):
    """A git host, registry or API server is gone. Said once when it goes."""

    type: ClassVar[str] = "dependency.down.v1"

    service: str
    dependency: str
    reason: str

    @property
    def subject(self) -> str:
        """The dependency."""
        return self.dependency


class DependencyUp(Event):
    """A dependency is back. Said once."""

    type: ClassVar[str] = "dependency.up.v1"

    service: str
    dependency: str
    seconds: float
    """How long it was gone."""

    @property
    def subject(self) -> str:
        """The dependency."""
        return self.dependency
