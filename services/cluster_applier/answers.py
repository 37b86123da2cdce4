"""What an API server says, read: answers to requests, and the events of a watch."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from services.cluster_applier.domain.fields import Owned
from services.cluster_applier.domain.refusal import causes, denied, details, unreadable

LONGEST = 1000
"""Characters of a reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the API server said."""

    status: int
    body: Any
    retry_after: float | None = None
    """Seconds after which it wants to be asked again, where it said so."""

    @property
    def ok(self) -> bool:
        """Whether it did what was asked."""
        return self.status < 300

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Of the object that it shows; empty where it shows none."""
        found = self.body.get("metadata") if isinstance(self.body, Mapping) else None
        return found if isinstance(found, Mapping) else {}

    @property
    def is_list(self) -> bool:
        """Whether it shows a list of what has names; an aggregated API may send anything."""
        if not isinstance(self.body, Mapping) or not isinstance(self.body.get("metadata"), Mapping):
            return False
        items = self.body.get("items") or []
        return isinstance(items, list) and all(_has(one, "name") for one in items)

    @property
    def overloaded(self) -> bool:
        """Whether it has too much to do; true of all that is asked of it now."""
        return self.status == 429

    @property
    def unknown(self) -> bool:
        """Whether it does not take us for whom we say we are; admission may use the same number."""
        return self.status == 401 and not denied(self.reason)

    @property
    def conflicts(self) -> tuple[Owned, ...]:
        """The fields that others have set to something else, where it is refused for that."""
        return tuple(
            Owned(field=str(cause.get("field")), manager=_quoted(str(cause.get("message"))))
            for cause in causes(self.body)
            if cause.get("reason") == "FieldManagerConflict"
        )

    @property
    def names_nothing(self) -> bool:
        """Whether there is no such path at all, rather than no such object."""
        return self.status == 404 and not details(self.body).get("kind")

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed later, though nobody changes it."""
        if self.ok and not isinstance(self.body, Mapping):
            return True  # somebody else answered: the server always shows an object
        if self.overloaded or self.status in {408, 410} or 300 <= self.status < 400:
            return True
        return self.status >= 500 and not unreadable(self.reason)

    @property
    def transient(self) -> bool:
        """Whether this object may be taken a little later; others are none of its business."""
        # 409: somebody wrote at the same moment, or what is being deleted is in its way.
        return self.passing or self.status == 409

    @property
    def reason(self) -> str:
        """Why not, in the server's words."""
        if self.ok:
            return f"the answer (HTTP {self.status}) is not what was asked for"
        if isinstance(self.body, Mapping):
            return _shortened(str(self.body.get("message") or self.body))
        return _shortened(f"HTTP {self.status}: {self.body}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a watch says."""

    type: str
    """BEGUN | ADDED | MODIFIED | DELETED | BOOKMARK | ERROR"""
    object: Mapping[str, Any]
    """With `metadata`, or for an error with `code` and `message`."""


def _has(value: Any, *names: str) -> bool:
    """Tell whether the metadata of an object holds texts by these names."""
    if not names:
        return True
    metadata = value.get("metadata") if isinstance(value, Mapping) else None
    return isinstance(metadata, Mapping) and all(isinstance(metadata.get(n), str) for n in names)


def _shortened(said: str) -> str:
    """Leave the middle out: what is wrong is said first or, after a long value, last."""
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 300]} ... {said[-300:]}"


def _quoted(said: str) -> str:
    """Return what stands in quotes: `conflict with "kubectl" using v1`."""
    return said.split('"')[1] if said.count('"') > 1 else ""


def decoded(data: bytes) -> Any:
    """Return the JSON that *data* is, or its beginning as text."""
    try:
        return json.loads(data) if data else None
    except (ValueError, RecursionError):
        return data[:500].decode(errors="replace")


async def body_of(answer: aiohttp.ClientResponse) -> Any:
    """
    Return the body of an answer, decoded.

    Of one that leads elsewhere only that: it is not followed, since neither what we send nor what
    we believe is for anybody but the server of the kubeconfig.
    """
    if 300 <= answer.status < 400:
        where = urlsplit(answer.headers.get("Location", "")).hostname or "another address"
        return {"message": f"it sends us to {where}, where we don't go; check the server's address"}
    return decoded(await answer.read())


def event(line: bytes) -> Event:
    """Return the event that *line* tells; an error where it tells none."""
    said = decoded(line)
    kind, value = (said.get("type"), said.get("object")) if isinstance(said, Mapping) else (0, 0)
    if not isinstance(kind, str) or not isinstance(value, Mapping):
        return Event(type="ERROR", object={"message": "the server sent what is no event"})
    needed = {"ERROR": (), "BOOKMARK": ("resourceVersion",)}.get(kind, ("resourceVersion", "name"))
    if not _has(value, *needed):
        return Event(type="ERROR", object={"message": f"an event {kind} without metadata"})
    return Event(type=kind, object=value)


def refusal(status: int, body: Any) -> Event:
    """Return the event that stands for a watch that was refused."""
    return Event(
        type="ERROR", object={"code": status, "message": Answer(status=status, body=body).reason}
    )


def late(seconds: float) -> Answer:
    """Return the answer that stands for none."""
    return Answer(status=504, body={"message": f"no answer within {seconds:g} s"})


async def lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Yield the lines of a watch; what the last one lacks is not told."""
    rest = b""
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
