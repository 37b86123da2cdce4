"""What git-watcher says: the head of a branch, and what a sync declares there."""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from shared.contract.message import Event, Question, Reply, Signal, Value


class PollRequested(Signal):
    """Look at the branch now."""

    type: ClassVar[str] = "poll.requested.v1"
    receiver: ClassVar[str | None] = "git-watcher"

    repository: str
    """`<canonical url>#<branch>`, see `shared.git.identity`."""
    reason: str = "tick"
    """tick | webhook | person | pushed | again"""

    @property
    def subject(self) -> str:
        """The repository."""
        return self.repository


class HeadQuestion(Question):
    """Where is the branch now? The git host is asked, as for *PollRequested*."""

    type: ClassVar[str] = "head.question.v1"
    receiver: ClassVar[str | None] = "git-watcher"

    repository: str

    @property
    def subject(self) -> str:
        """The repository."""
        return self.repository


class HeadTold(Reply):
    """The answer to *HeadQuestion*."""

    type: ClassVar[str] = "head.told.v1"

    revision: str = ""
    branch: str = ""
    error: str | None = None
    """Why the branch could not be read, in a sentence."""


class Commit(Value):
    """One commit of the branch."""

    revision: str
    author: str
    message: str
    time: datetime


class RevisionObserved(Event):
    """A branch has a new head."""

    type: ClassVar[str] = "revision.observed.v1"

    repository: str
    url: str
    """Without credentials."""
    branch: str
    revision: str
    commits: tuple[Commit, ...] = ()
    """Newest first, first parents, the head included; 50 at most."""
    rewritten: bool = False
    """The former head is no ancestor of this one."""

    @property
    def subject(self) -> str:
        """The repository."""
        return self.repository


class Problem(Value):
    """A part of the desired state that could not be read."""

    file: str
    line: int | None = None
    message: str


class Container(Value):
    """A container and its image, as declared."""

    name: str
    image: str


class Workload(Value):
    """A workload as git declares it."""

    id: str
    """`namespace:kind/name`"""
    file: str
    containers: tuple[Container, ...] = ()
    policies: Mapping[str, str] = {}
    """Without prefix: `automated`, `locked`, `locked_user`, `locked_msg`, `ignore`, `tag.<c>`"""
    policy_digest: str = ""


class EncryptedFile(Value):
    """A file that cluster-applier decrypts; nobody else knows what it declares."""

    file: str
    objects: tuple[str, ...] = ()
    """The ids of those whose names can be read."""


class StateDeclared(Event):
    """What a sync declares at a revision. Said again for as long as it holds."""

    type: ClassVar[str] = "state.declared.v1"
    receiver: ClassVar[str | None] = "cluster-applier"

    sync: str
    target: str
    repository: str
    url: str
    branch: str
    paths: tuple[str, ...] = ()
    revision: str
    """Empty while nothing could be read yet."""
    commits: int = 1
    """How many are new since the revision that was declared before, by first parents."""
    bundle: str
    """The bundle's digest; the applier reads the stream until it has this one or a newer."""
    workloads: tuple[Workload, ...] = ()
    objects: int = 0
    """Of files that are not encrypted."""
    encrypted: tuple[EncryptedFile, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def subject(self) -> str:
        """The sync."""
        return self.sync
