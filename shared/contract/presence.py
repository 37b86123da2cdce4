"""Who is there: what the replicas of a stage say to each other, so that work is spread evenly."""

from collections.abc import Mapping
from typing import ClassVar

from shared.contract.message import Announcement


class ReplicaPresent(Announcement):
    """A replica of a stage is there and consumes these partitions; said every two seconds."""

    type: ClassVar[str] = "replica.present.v1"

    service: str
    replica: str
    partitions: Mapping[int, int] = {}
    """By partition: which time it subscribed, counted up. A new number means a new place in the
    broker's queue of consumers."""
    leaving: bool = False
    """It stops, and has let go of everything."""

    @property
    def subject(self) -> str:
        """The stage."""
        return self.service
