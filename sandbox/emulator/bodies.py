"""Reads what writers send: objects, manifests for server-side apply, patches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.emulator.answers import ApiError, bad_request
from sandbox.emulator.defaults import known, without_nulls
from sandbox.emulator.kinds import Resource
from sandbox.emulator.patches import PatchError, json_patch, merge_patch, strategic_patch
from sandbox.emulator.store import Object

APPLY = "application/apply-patch+yaml"


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


def typed(body: Any, target: Target) -> dict[str, Any]:
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


def without_unknown(obj: dict[str, Any], target: Target, options: Options) -> dict[str, Any]:
    """Return *obj* without unknown fields; a strict writer is refused instead."""
    kept: dict[str, Any]
    kept, unknown = known(obj, target.resource.shape)
    if unknown and options.strict:
        listed = ", ".join(f'unknown field "{path}"' for path in unknown)
        raise bad_request(
            f'{target.resource.kind} in version "{target.resource.version}" cannot be handled as a '
            f"{target.resource.kind}: strict decoding error: {listed}"
        )
    return kept


def checked_manifest(applied: dict[str, Any], target: Target) -> dict[str, Any]:
    """Return *applied*, unless it is no manifest for server-side apply."""
    if applied["metadata"].get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    _, unknown = known(applied, target.resource.shape)
    if unknown:
        raise untypable(target, f".{unknown[0]}: field not declared in schema")
    return applied


def untypable(target: Target, why: str) -> ApiError:
    """Tell that a manifest for server-side apply does not fit its kind."""
    resource = target.resource
    which = "/".join(filter(None, (target.namespace, target.name)))
    what = f"{which}; {resource.group_version}, Kind={resource.kind}"
    return ApiError(500, "", f"failed to create typed patch object ({what}): {why}")


def manager_missing() -> ApiError:
    """Tell that a server-side apply must name its manager."""
    text = "Required value: is required for apply patch"
    return ApiError(
        422,
        "Invalid",
        f'PatchOptions.meta.k8s.io "" is invalid: fieldManager: {text}',
        details={"group": "meta.k8s.io", "kind": "PatchOptions"},
        causes=[("FieldValueRequired", text, "fieldManager")],
    )


def patched(before: Object, patch: Any, content_type: str, resource: Resource) -> Any:
    """
    Return *before* with *patch* applied, whose format *content_type* names.

    Raises:
        PatchError: the patch does not fit.
        ApiError: there is no such format for this kind.
    """
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
