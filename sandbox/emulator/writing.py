"""Creates, replaces and patches objects: what the rules say, in the order of a real server."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sandbox.emulator import ownership, scale
from sandbox.emulator.answers import ApiError, bad_request, exists, not_found, stale, terminating
from sandbox.emulator.defaults import allocated, check, filled, known, without_nulls
from sandbox.emulator.fields import DuplicateError
from sandbox.emulator.kinds import Kinds, Resource
from sandbox.emulator.ownership import Owner, now
from sandbox.emulator.patches import PatchError, json_patch, merge_patch, strategic_patch
from sandbox.emulator.store import Object, Store

APPLY = "application/apply-patch+yaml"
_SERVER_SET = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "selfLink")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which object a request is about."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a write is meant."""

    manager: str
    force: bool = False
    dry_run: bool = False
    strict: bool = False


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
        new = _without_unknown(_typed(body, target), target, options)
        metadata = new["metadata"]
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = f"{metadata['generateName']}{secrets.token_hex(3)[:5]}"
        name = metadata.get("name", "")
        if self._store.get(target.resource, target.namespace, name):
            raise exists(target.resource, name)
        new = filled(self._newborn(target, new), target.resource)
        empty = {"kind": new["kind"], "metadata": {}, "spec": {}, "status": {}}
        owned = ownership.update(empty, new, target.resource.shape, _owner(target, options))
        return self._save(target, None, owned, options)

    def replace(self, target: Target, body: Any, options: Options) -> Object:
        """Put *body* in the place of the object."""
        live = self.read(target)
        if target.subresource == "scale":
            return self._scaled(target, live, body, options)
        return self._update(target, live, _typed(body, target), options)

    def patch(self, target: Target, patch: Any, content_type: str, options: Options) -> Object:
        """Change the object as *patch* says."""
        if content_type == APPLY:
            return self._apply(target, patch, options)
        live = self.read(target)
        before = scale.of(live) if target.subresource == "scale" else live
        try:
            after = _patched(before, patch, content_type, target.resource)
        except PatchError as error:
            raise ApiError(422, "Invalid", f"the patch does not apply: {error}") from error
        if target.subresource == "scale":
            return self._scaled(target, live, after, options)
        return self._update(target, live, _typed(after, target), options)

    def save_status(self, resource: Resource, live: Object, new: Object) -> None:
        """Keep what a controller says of an object."""
        target = Target(resource=resource, namespace=live["metadata"].get("namespace", ""))
        owner = Owner("Update", "kube-controller-manager", resource.group_version, "status")
        owned = ownership.update(live, new, resource.shape, owner)
        self._save(target, live, owned, Options(manager=owner.manager))

    def _apply(self, target: Target, body: Any, options: Options) -> Object:
        if not options.manager:
            raise _manager_missing()
        applied = _checked_manifest(_typed(body, target), target)
        live = self._store.get(target.resource, target.namespace, target.name)
        if live is None and target.subresource:
            raise not_found(target.resource, target.name)
        if live and applied["metadata"].get("resourceVersion") not in (None, _version(live)):
            raise stale(target.resource, target.name)
        metadata = {n: v for n, v in applied["metadata"].items() if n != "resourceVersion"}
        kept = (
            {"status": applied.get("status", {})}
            if target.subresource == "status"
            else {n: v for n, v in applied.items() if n != "status" or not _status_apart(target)}
        )
        identity = {"apiVersion": applied["apiVersion"], "kind": applied["kind"]}
        manifest = {**identity, **kept, "metadata": {} if target.subresource else metadata}
        base = live or {**identity, "metadata": {}}
        owner = _owner(target, options, "Apply")
        try:
            merged = ownership.apply(
                base, manifest, target.resource.shape, owner, force=options.force
            )
        except DuplicateError as error:
            raise _untypable(target, str(error)) from error
        merged = _kept_by_server(merged, live) if live else self._newborn(target, merged)
        return self._save(target, live, filled(merged, target.resource), options)

    def _update(self, target: Target, live: Object, new: Any, options: Options) -> Object:
        if new["metadata"].get("resourceVersion", _version(live)) != _version(live):
            raise stale(target.resource, target.name)
        new = _without_unknown(new, target, options)
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


def _typed(body: Any, target: Target) -> dict[str, Any]:
    """Return *body* as an object of the target's kind, with that name in that namespace."""
    if not isinstance(body, Mapping) or not isinstance(body.get("metadata", {}), Mapping):
        raise bad_request("the body of the request is no Kubernetes object")
    resource = target.resource
    version, kind = body.get("apiVersion"), body.get("kind")
    if (version or resource.group_version, kind or resource.kind) != (
        resource.group_version,
        resource.kind,
    ):
        raise bad_request(f"invalid object type: {version}, Kind={kind}")
    metadata = dict(body.get("metadata") or {})
    name = metadata.get("name", target.name)
    if target.name and name != target.name:
        raise bad_request(
            f"the name of the object ({name}) does not match the name on the URL ({target.name})"
        )
    if metadata.get("namespace", target.namespace) != target.namespace:
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    identity = {"kind": resource.kind, "apiVersion": resource.group_version}
    return {**identity, "metadata": without_nulls(metadata), **without_nulls(_rest(body))}


def _rest(body: Mapping[str, Any]) -> dict[str, Any]:
    return {n: v for n, v in body.items() if n not in ("kind", "apiVersion", "metadata")}


def _without_unknown(obj: dict[str, Any], target: Target, options: Options) -> dict[str, Any]:
    kept, unknown = known(obj, target.resource.shape)
    if unknown and options.strict:
        listed = ", ".join(f'unknown field "{path}"' for path in unknown)
        raise bad_request(
            f'{target.resource.kind} in version "{target.resource.version}" cannot be handled as a '
            f"{target.resource.kind}: strict decoding error: {listed}"
        )
    return kept


def _checked_manifest(applied: dict[str, Any], target: Target) -> dict[str, Any]:
    if applied["metadata"].get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    _, unknown = known(applied, target.resource.shape)
    if unknown:
        raise _untypable(target, f".{unknown[0]}: field not declared in schema")
    return applied


def _untypable(target: Target, why: str) -> ApiError:
    resource = target.resource
    which = "/".join(filter(None, (target.namespace, target.name)))
    what = f"{which}; {resource.group_version}, Kind={resource.kind}"
    return ApiError(500, "", f"failed to create typed patch object ({what}): {why}")


def _manager_missing() -> ApiError:
    text = "Required value: is required for apply patch"
    return ApiError(
        422,
        "Invalid",
        f'PatchOptions.meta.k8s.io "" is invalid: fieldManager: {text}',
        details={"group": "meta.k8s.io", "kind": "PatchOptions"},
        causes=[("FieldValueRequired", text, "fieldManager")],
    )


def _patched(before: Object, patch: Any, content_type: str, resource: Resource) -> Any:
    if content_type == "application/json-patch+json":
        if not isinstance(patch, Sequence):
            raise PatchError("a JSON patch is a list of operations")
        return json_patch(before, patch)
    if content_type == "application/strategic-merge-patch+json" and not resource.is_custom:
        return strategic_patch(before, patch, resource.shape)
    if content_type == "application/merge-patch+json":
        return merge_patch(before, patch)
    raise ApiError(
        415,
        "UnsupportedMediaType",
        f"the body of the request was in an unknown format: {content_type}",
    )


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
