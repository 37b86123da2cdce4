"""Deletes objects: with preconditions, with finalizers, and what belonged to them."""

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.answers import precondition, success
from sandbox.emulator.bodies import Target
from sandbox.emulator.ownership import now
from sandbox.emulator.store import Object, Storage, Store
from sandbox.emulator.writing import Writer


class Deleter:
    """Takes objects out of the store as the rules say."""

    def __init__(self, store: Store, writer: Writer) -> None:
        self._store = store
        self._writer = writer

    def delete(self, target: Target, wish: Mapping[str, Any], *, dry_run: bool) -> Object:
        """Delete an object under the conditions of *wish*, a `DeleteOptions`."""
        live = self._writer.read(target)
        metadata = live["metadata"]
        _check(target, metadata, wish.get("preconditions") or {})
        waits = bool(metadata.get("finalizers")) or target.resource.kind == "Namespace"
        done = success(target.resource, target.name, metadata["uid"])
        if dry_run:
            return done
        if wish.get("propagationPolicy") == "Orphan":
            self.disown(metadata["uid"])
        if not waits:
            self._store.remove(target.resource.storage, live)
            return done
        return self._mark(target, live)

    def disown(self, uid: str) -> None:
        """Let what belongs to the object *uid* belong to it no longer."""
        for storage, obj in self._store.everything():
            owners = obj["metadata"].get("ownerReferences", ())
            rest = [owner for owner in owners if owner["uid"] != uid]
            if len(rest) != len(owners):
                metadata = {**obj["metadata"], "ownerReferences": rest}
                self._store.put(storage, {**obj, "metadata": metadata})

    def collect(self, uid: str) -> None:
        """Delete what belonged to the object *uid*, which is gone, and to nothing else."""
        theirs = [
            (storage, obj, owners)
            for storage, obj in self._store.everything()
            if uid in (owners := _owners(obj))
        ]
        alive = {obj["metadata"]["uid"] for _, obj in self._store.everything()} if theirs else set()
        for storage, obj, owners in theirs:
            if not owners & alive:
                self.take(storage, obj)

    def take(self, storage: Storage, obj: Object) -> None:
        """Delete *obj* for a controller; finalizers still hold it."""
        metadata = obj["metadata"]
        if not metadata.get("finalizers"):
            self._store.remove(storage, obj)
        elif "deletionTimestamp" not in metadata:
            self._store.put(storage, {**obj, "metadata": {**metadata, "deletionTimestamp": now()}})

    def _mark(self, target: Target, live: Object) -> Object:
        if "deletionTimestamp" in live["metadata"]:
            return live
        marked = {**live, "metadata": {**live["metadata"], "deletionTimestamp": now()}}
        if target.resource.kind == "Namespace":
            marked["status"] = {**live.get("status", {}), "phase": "Terminating"}
        return self._store.put(target.resource.storage, marked)


def _owners(obj: Object) -> set[str]:
    return {owner["uid"] for owner in obj["metadata"].get("ownerReferences", ())}


def _check(target: Target, metadata: Mapping[str, Any], wanted: Mapping[str, str]) -> None:
    for name, what in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        given = wanted.get(name)
        if given and given != metadata[name]:
            raise precondition(target.resource, target.name, what, given, metadata[name])
