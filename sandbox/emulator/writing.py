"""Creates, replaces and patches objects: what the rules say, in the order of a real server."""

import secrets
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from sandbox.emulator import ownership, scale
from sandbox.emulator.answers import ApiError, exists, not_found, stale, terminating
from sandbox.emulator.bodies import (
    APPLY,
    Options,
    Target,
    checked_manifest,
    manager_missing,
    patched,
    typed,
    untypable,
    without_unknown,
)
from sandbox.emulator.checks import check
from sandbox.emulator.defaults import allocated, filled
from sandbox.emulator.fields import DuplicateError
from sandbox.emulator.kinds import Kinds, Resource
from sandbox.emulator.ownership import Owner, now
from sandbox.emulator.patches import PatchError
from sandbox.emulator.store import Object, Store

_SERVER_SET = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "selfLink")


class Writer:
    """Writes to the store what the rules allow."""

    def __init__(self, store: Store, kinds: Kinds) -> None:
        self._store = store
        self._namespaces = kinds.built_in("v1", "namespaces")

    def read(self, target: Target) -> Object:
        """
        Return the object.

        Raises:
            ApiError: there is none.
        """
        found = self._store.get(target.resource, target.namespace, target.name)
        if found is None:
            raise not_found(target.resource, target.name)
        return found

    def create(self, target: Target, body: Any, options: Options) -> Object:
        """Create the object that *body* describes."""
        new = without_unknown(typed(body, target), target, options)
        metadata = new["metadata"]
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = f"{metadata['generateName']}{secrets.token_hex(3)[:5]}"
        name = metadata.get("name", "")
        if self._store.get(target.resource, target.namespace, name):
            raise exists(target.resource, name)
        new = filled(self._newborn(target, new), target.resource)
        empty = {"metadata": {}, **target.resource.shape.empty()}
        owned = ownership.update(empty, new, target.resource.shape, _owner(target, options))
        return self._save(target, None, owned, options)

    def replace(self, target: Target, body: Any, options: Options) -> Object:
        """Put *body* in the place of the object."""
        live = self.read(target)
        if target.subresource == "scale":
            return self._scaled(target, live, body, options)
        return self._update(target, live, typed(body, target), options)

    def patch(self, target: Target, patch: Any, content_type: str, options: Options) -> Object:
        """Change the object as *patch* says."""
        if content_type == APPLY:
            return self._apply(target, patch, options)
        live = self.read(target)
        before = scale.of(live) if target.subresource == "scale" else live
        try:
            after = patched(before, patch, content_type, target.resource)
        except PatchError as error:
            raise ApiError(422, "Invalid", f"the patch does not apply: {error}") from error
        if target.subresource == "scale":
            return self._scaled(target, live, after, options)
        return self._update(target, live, typed(after, target), options)

    def save_status(self, resource: Resource, live: Object, new: Object) -> None:
        """Keep what a controller says of an object."""
        target = Target(resource=resource, namespace=live["metadata"].get("namespace", ""))
        owner = Owner("Update", "kube-controller-manager", resource.group_version, "status")
        owned = ownership.update(live, new, resource.shape, owner)
        self._save(target, live, owned, Options(manager=owner.manager))

    def _apply(self, target: Target, body: Any, options: Options) -> Object:
        if not options.manager:
            raise manager_missing()
        applied = checked_manifest(typed(body, target), target)
        live = self._store.get(target.resource, target.namespace, target.name)
        if live is None and target.subresource:
            raise not_found(target.resource, target.name)
        if live and applied["metadata"].get("resourceVersion") not in (None, _version(live)):
            raise stale(target.resource, target.name)
        manifest = _applicable(applied, target)
        base = live or {name: manifest[name] for name in ("apiVersion", "kind")} | {"metadata": {}}
        owner = _owner(target, options, "Apply")
        try:
            merged = ownership.apply(
                base, manifest, target.resource.shape, owner, force=options.force
            )
        except DuplicateError as error:
            raise untypable(target, str(error)) from error
        merged = _kept_by_server(merged, live) if live else self._newborn(target, merged)
        return self._save(target, live, filled(merged, target.resource), options)

    def _update(self, target: Target, live: Object, new: Any, options: Options) -> Object:
        if new["metadata"].get("resourceVersion", _version(live)) != _version(live):
            raise stale(target.resource, target.name)
        new = without_unknown(new, target, options)
        said = new["metadata"].get("managedFields")
        if target.subresource == "status":
            new = {**live, "status": new.get("status", {})}
        elif _status_apart(target):
            new = {n: v for n, v in new.items() if n != "status"}
            new |= {"status": live["status"]} if "status" in live else {}
        new = filled(_kept_by_server(new, live), target.resource)
        if said is not None and not target.subresource:
            # One empty entry is how a writer asks to forget all owners.
            new["metadata"]["managedFields"] = [entry for entry in said if entry]
        owned = ownership.update(live, new, target.resource.shape, _owner(target, options))
        return self._save(target, live, owned, options)

    def _scaled(self, target: Target, live: Object, wanted: Any, options: Options) -> Object:
        if wanted.get("metadata", {}).get("resourceVersion", _version(live)) != _version(live):
            raise stale(target.resource, target.name)
        new = {**live, "spec": {**live["spec"], "replicas": wanted["spec"].get("replicas", 0)}}
        owned = ownership.update(live, new, target.resource.shape, _owner(target, options))
        return scale.of(self._save(target, live, owned, options))

    def _newborn(self, target: Target, obj: Mapping[str, Any]) -> dict[str, Any]:
        name = target.name or obj["metadata"].get("name", "")
        self._check_namespace(target, name)
        metadata = {n: v for n, v in obj["metadata"].items() if n not in _SERVER_SET} | {
            "name": name,
            "uid": str(uuid4()),
            "creationTimestamp": now(),
        }
        metadata.pop("resourceVersion", None)
        if target.namespace:
            metadata["namespace"] = target.namespace
        kept = {n: v for n, v in obj.items() if n != "status" or not _status_apart(target)}
        return {**kept, "metadata": metadata}

    def _check_namespace(self, target: Target, name: str) -> None:
        if not target.namespace:
            return
        found = self._store.get(self._namespaces, "", target.namespace)
        if found is None:
            raise not_found(self._namespaces, target.namespace)
        if "deletionTimestamp" in found["metadata"]:
            raise terminating(target.resource, name, target.namespace)

    def _save(
        self, target: Target, live: Object | None, new: dict[str, Any], options: Options
    ) -> Object:
        new = allocated(new, target.resource)
        if not target.subresource:
            check(new, live, target.resource)
        if live and _content(new) == _content(live):
            return live
        if target.resource.counts_generations:
            new["metadata"]["generation"] = _generation(live, new)
        if options.dry_run:
            return new
        if "deletionTimestamp" in new["metadata"] and not new["metadata"].get("finalizers"):
            self._store.remove(target.resource.storage, new)
            return new
        return self._store.put(target.resource.storage, new)


def _applicable(applied: Object, target: Target) -> dict[str, Any]:
    """Return the part of a manifest that may be applied there."""
    identity = {"apiVersion": applied["apiVersion"], "kind": applied["kind"]}
    if target.subresource == "status":
        return {**identity, "metadata": {}, "status": applied.get("status", {})}
    metadata = {n: v for n, v in applied["metadata"].items() if n != "resourceVersion"}
    rest = {n: v for n, v in applied.items() if n != "status" or not _status_apart(target)}
    return {**rest, "metadata": metadata}


def _kept_by_server(new: Mapping[str, Any], live: Object) -> dict[str, Any]:
    """Put back what only the server sets."""
    mine = (*_SERVER_SET, "resourceVersion", "name", "namespace", "managedFields")
    old = {name: live["metadata"][name] for name in mine if name in live["metadata"]}
    rest = {n: v for n, v in new["metadata"].items() if n not in mine or n == "managedFields"}
    return {**new, "metadata": {**old, **rest}}


def _generation(live: Object | None, new: Object) -> int:
    if live is None:
        return 1
    counted = [
        {n: v for n, v in obj.items() if n not in ("metadata", "status", "apiVersion")}
        for obj in (live, new)
    ]
    before = int(live["metadata"].get("generation", 1))
    return before + (counted[0] != counted[1])


def _content(obj: Object) -> Any:
    """Return what makes two states different: all but versions and the times of claims."""
    metadata = {n: v for n, v in obj["metadata"].items() if n != "resourceVersion"}
    claims = [{**entry, "time": ""} for entry in metadata.pop("managedFields", ())]
    return {**obj, "metadata": metadata}, sorted(claims, key=str)


def _owner(target: Target, options: Options, operation: Any = "Update") -> Owner:
    return Owner(operation, options.manager, target.resource.group_version, target.subresource)


def _version(live: Object) -> str:
    return str(live["metadata"]["resourceVersion"])


def _status_apart(target: Target) -> bool:
    return target.resource.has_status and target.subresource != "status"
