"""What registry-scanner says and is asked: tags, and the image that a policy prefers."""

from datetime import datetime
from typing import ClassVar

from shared.contract.message import Event, Question, Reply, Signal, Value


class ScanRequested(Signal):
    """Read the tags of an image repository now."""

    type: ClassVar[str] = "scan.requested.v1"
    receiver: ClassVar[str | None] = "registry-scanner"

    image: str
    """The canonical image repository: `index.docker.io/library/nginx`."""
    reason: str = "tick"
    """tick | webhook | declared | again"""

    @property
    def subject(self) -> str:
        """The image repository."""
        return self.image


class ImagesFound(Event):
    """A workload's policy prefers another tag than the one declared."""

    type: ClassVar[str] = "images.found.v1"
    receiver: ClassVar[str | None] = "repo-writer"

    repository: str
    sync: str
    workload: str
    container: str
    current: str
    """As declared: `ghcr.io/acme/web:1.2.0`."""
    chosen: str
    """In the spelling of *current*: `ghcr.io/acme/web:1.3.0`."""
    digest: str | None = None
    created: datetime | None = None
    policy_digest: str
    """Of the annotations that led to it."""
    why: str
    """`semver:~1.0 prefers 1.3.0 to 1.2.0`"""
    under_way: int = 0
    """How many scans of the same cause this scanner had not ended yet: more may follow."""

    @property
    def subject(self) -> str:
        """The repository to write to."""
        return self.repository


class ScanCompleted(Event):
    """An image repository was read."""

    type: ClassVar[str] = "scan.completed.v1"

    image: str
    tags: int
    newest: str | None = None
    seconds: float
    requests: int
    found: int
    """How many containers their policy moves."""

    @property
    def subject(self) -> str:
        """The image repository."""
        return self.image


class ScanFailed(Event):
    """An image repository could not be read; what was known of it stays."""

    type: ClassVar[str] = "scan.failed.v1"

    image: str
    reason: str

    @property
    def subject(self) -> str:
        """The image repository."""
        return self.image


class Tag(Value):
    """A tag of an image repository."""

    name: str
    created: datetime | None = None
    digest: str | None = None


class TagsQuestion(Question):
    """Which tags has this image repository? Read on demand, also when not automated."""

    type: ClassVar[str] = "tags.question.v1"
    receiver: ClassVar[str | None] = "registry-scanner"

    image: str
    created: bool = True
    """Whether creation times are wanted: they cost two requests for each new tag."""

    @property
    def subject(self) -> str:
        """The image repository."""
        return self.image


class TagsListed(Reply):
    """The answer to *TagsQuestion*."""

    type: ClassVar[str] = "tags.listed.v1"

    image: str
    tags: tuple[Tag, ...] = ()
    error: str | None = None
    """Why there are none or not all, in a sentence."""
