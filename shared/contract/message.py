"""
The families of messages and how each is routed.

An *Event* is a fact in the past tense. A *Command* asks its owner: a *Signal* says "look
again" (many fold into one), an *Order* is a person's and has a life cycle, a *Question*
wants a *Reply* before a deadline. An *Announcement* goes to one's own kind, and is kept nowhere.
"""

from typing import Any, ClassVar
from zlib import crc32

from pydantic import BaseModel, ConfigDict

PARTITIONS = 16
"""Partition queues of each stage. Changing it means declaring every queue anew."""


class Value(BaseModel):
    """A part of messages: frozen, and open to fields of a newer producer, as they are."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Message(BaseModel):
    """What is said: frozen, versioned by *type*, open to fields of a newer producer."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: ClassVar[str]
    receiver: ClassVar[str | None] = None
    """The one service that works on it by partition; all others bind `<type>.*`."""

    @property
    def subject(self) -> str:
        """What it is about at its receiver: a repository, an image repository or a sync."""
        raise NotImplementedError

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Refuse a concrete message without a versioned type."""
        name = cls.__dict__.get("type")
        if name is not None and not name.rpartition(".v")[2].isdigit():
            raise TypeError(f"{cls.__name__}.type must end in a version like .v1, not {name!r}")


class Event(Message):
    """A fact. Facts that must lead to work are said again for as long as they hold."""


class Command(Message):
    """Something asked of its owner."""


class Signal(Command):
    """Look again. Many for one subject are as good as one."""


class Order(Command):
    """A person's order: ends in `order.completed`, `order.rejected` or a dead letter."""


class Question(Command):
    """Wants a *Reply* before its deadline; never repeated, never dead-lettered."""


class Announcement(Message):
    """Said again and again to those of one's own kind, and kept nowhere."""


class Reply(Message):
    """The answer to a *Question*, sent to the one who asked."""

    @property
    def subject(self) -> str:
        """Answers go by their address, not by subject."""
        return ""


def partition(subject: str) -> int:
    """Return the partition, 0 to 15, that *subject* belongs to."""
    return crc32(subject.encode()) % PARTITIONS
