"""Follows the store for one watch: the changes, as its selection sees them, and bookmarks."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sandbox.emulator.answers import ApiError, expired
from sandbox.emulator.kinds import Resource
from sandbox.emulator.selectors import Predicate
from sandbox.emulator.store import Change, Object, Store

Event = tuple[str, Object]

_BOOKMARK_EVERY = 60.0  # seconds
_BOOKMARK_BEFORE_END = 2.0  # seconds; so a client that comes again misses nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a watch wants to see."""

    resource: Resource
    namespace: str
    selected: Predicate
    version: int  # 0: begin with what there is
    initial: bool  # begin with what there is, and say where that ends
    bookmarks: bool
    timeout: float  # seconds


async def follow(store: Store, wish: Wish) -> AsyncIterator[Event]:
    """Yield the type and the object of each event, until the watch's time is over."""
    loop = asyncio.get_running_loop()
    end = loop.time() + wish.timeout
    version = wish.version
    if wish.initial or not version:
        version = store.version
        for obj in filter(wish.selected, store.select(wish.resource, wish.namespace)):
            yield "ADDED", obj
        if wish.initial and wish.bookmarks:
            yield (
                "BOOKMARK",
                _bookmark(wish.resource, version, {"k8s.io/initial-events-end": "true"}),
            )
    elif version < max(store.oldest, wish.resource.since):
        yield "ERROR", _too_old(store, version).status
        return
    async for event in _changes(store, wish, version, end):
        yield event


async def _changes(store: Store, wish: Wish, version: int, end: float) -> AsyncIterator[Event]:
    loop = asyncio.get_running_loop()
    bookmark_at = min(loop.time() + _BOOKMARK_EVERY, end - _BOOKMARK_BEFORE_END)
    while loop.time() < end:
        for change in store.since(version):
            version = change.version
            for event in _seen(change, wish):
                yield event
        if wish.bookmarks and loop.time() >= bookmark_at:
            yield "BOOKMARK", _bookmark(wish.resource, version)
            bookmark_at = loop.time() + _BOOKMARK_EVERY
        if store.version == version:
            await _wait(store, min(end, bookmark_at) - loop.time())


async def _wait(store: Store, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(max(seconds, 0.001)):
            await store.moved()


def _seen(change: Change, wish: Wish) -> Iterator[Event]:
    if change.storage != wish.resource.storage:
        return
    if wish.namespace not in ("", change.after["metadata"].get("namespace", "")):
        return
    before = change.before is not None and wish.selected(change.before)
    after = change.kind != "DELETED" and wish.selected(change.after)
    if after:
        yield ("MODIFIED" if before else "ADDED"), change.after
    elif before:
        yield "DELETED", _last_seen(change)


def _last_seen(change: Change) -> Object:
    """Return the last selected state, with the version at which it left the selection."""
    assert change.before is not None
    metadata = {**change.before["metadata"], "resourceVersion": str(change.version)}
    return {**change.before, "metadata": metadata}


def _bookmark(
    resource: Resource, version: int, annotations: dict[str, str] | None = None
) -> Object:
    metadata: dict[str, Any] = {"resourceVersion": str(version), "creationTimestamp": None}
    if annotations:
        metadata["annotations"] = annotations
    return {"kind": resource.kind, "apiVersion": resource.group_version, "metadata": metadata}


def _too_old(store: Store, version: int) -> ApiError:
    return expired(f"too old resource version: {version} ({store.version})")
