"""
The objects, each replaced as a whole, and the log of their changes that watches follow.

It must not know rules: whoever puts an object here has checked it.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sandbox.emulator.kinds import Resource

Object = Mapping[str, Any]
Storage = tuple[str, str]

_KEPT = 20_000  # changes; older ones are "too old"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one object."""

    version: int
    kind: Literal["ADDED", "MODIFIED", "DELETED"]
    storage: Storage
    before: Object | None
    after: Object  # of a deletion, the last state with the deletion's version


class Store:
    """All objects of the cluster."""

    def __init__(self) -> None:
        self.version = 0
        self.oldest = 0  # changes up to here are forgotten
        self._objects: dict[Storage, dict[tuple[str, str], Object]] = {}
        self._log: list[Change] = []
        self._moved = asyncio.Event()

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """Return an object, or None."""
        found = self._objects.get(resource.storage, {}).get((namespace, name))
        return found and _in_version(found, resource)

    def select(self, resource: Resource, namespace: str = "") -> list[Object]:
        """Return the objects of a kind by namespace and name; "" is every namespace."""
        return [
            _in_version(obj, resource)
            for key, obj in sorted(self._objects.get(resource.storage, {}).items())
            if namespace in ("", key[0])
        ]

    def everything(self) -> Iterator[tuple[Storage, Object]]:
        """Return every object with what it is stored under."""
        for storage, objects in list(self._objects.items()):
            for obj in list(objects.values()):
                yield storage, obj

    def put(self, storage: Storage, obj: Object) -> Object:
        """Keep *obj* in its newest state, and return it with its new version."""
        objects = self._objects.setdefault(storage, {})
        key = _key(obj)
        stored = self._stamped(obj)
        before = objects.get(key)
        objects[key] = stored
        kind: Literal["ADDED", "MODIFIED"] = "MODIFIED" if before else "ADDED"
        self._tell(Change(self.version, kind, storage, before, stored))
        return stored

    def remove(self, storage: Storage, obj: Object) -> None:
        """Forget *obj*."""
        before = self._objects[storage].pop(_key(obj))
        gone = self._stamped(before)
        self._tell(Change(self.version, "DELETED", storage, before, gone))

    def since(self, version: int) -> list[Change]:
        """Return the changes after *version*."""
        start = bisect_right(self._log, version, key=lambda change: change.version)
        return self._log[start:]

    async def moved(self) -> None:
        """Wait for the next change."""
        await self._moved.wait()

    def _stamped(self, obj: Object) -> dict[str, Any]:
        self.version += 1
        return {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}

    def _tell(self, change: Change) -> None:
        self._log.append(change)
        if len(self._log) > 2 * _KEPT:
            self.oldest = self._log[-_KEPT - 1].version
            del self._log[:-_KEPT]
        self._moved.set()
        self._moved = asyncio.Event()


def _key(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _in_version(obj: Object, resource: Resource) -> Object:
    if obj.get("apiVersion") == resource.group_version:
        return obj
    return {**obj, "apiVersion": resource.group_version}
