"""
What others left in managedFields that must be ours, or no longer ours, before we apply.

What others own, too, stays when git removes it. So what we declare becomes ours alone, once; and
all that `kubectl apply` (or Flux v1, which ran it) owns becomes ours. `spec.replicas` that git does
not set belongs to whoever scales: were it ours, leaving it out would scale to one.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from services.cluster_applier.domain.ownership import MANAGER, is_ours

KUBECTL = frozenset({"kubectl-client-side-apply", "kubectl"})
SCALER = "flux-replicas"
"""Holds the replicas that are nobody's, so that they stay as they are."""

_SCALED = frozenset({"Deployment", "StatefulSet", "ReplicaSet", "ReplicationController"})
_ITSELF = "."
Fields = Mapping[str, Any]


def unscaled(kind: str, body: bytes, *, governed: bool) -> bytes | None:
    """
    Return an object without its replicas, where it may not or does not say how many there are.

    A null does not, and would be applied as the default, which is one. None where it does.
    """
    if kind not in _SCALED:
        return None
    value = json.loads(body)
    spec = _spec(value)
    if "replicas" not in spec:
        return body
    if spec["replicas"] is not None and not governed:
        return None
    del value["spec"]["replicas"]
    return json.dumps(value).encode()


def owns_replicas(metadata: Mapping[str, Any]) -> bool:
    """Tell whether the replicas of an object are ours."""
    return any(is_ours(entry) and _has_replicas(entry) for entry in _entries(metadata))


def taken_over(metadata: Mapping[str, Any], *, leave: bool) -> list[Fields] | None:
    """
    Return managedFields as they must be before we apply again; None where they are so.

    With *leave* the replicas are not ours.
    """
    entries = _entries(metadata)
    old = [entry for entry in entries if is_ours(entry) or _is_kubectls(entry)]
    if not old:
        return None
    others = [entry for entry in entries if entry not in old]
    fields = _union(_fields(entry) for entry in old)
    hand_over = leave and _has_replicas({"fieldsV1": fields})
    fields = _without_replicas(fields) if hand_over else fields
    rest = [less for entry in others if (less := _leaving(entry, fields))]
    if not hand_over and not any(map(_is_kubectls, old)) and rest == others:
        return None
    model = next((entry for entry in old if is_ours(entry)), old[0])
    if hand_over and not any(map(_has_replicas, rest)):
        rest.append(_entry(model, SCALER, "Update", {"f:spec": {"f:replicas": {}}}))
    return [*rest, _entry(model, MANAGER, "Apply", fields)]


def _leaving(entry: Fields, ours: Fields) -> Fields | None:
    """Return somebody's entry without what is *ours*; None where nothing is left."""
    if entry.get("subresource"):
        return entry
    left = _less(_fields(entry), ours)
    return {**entry, "fieldsV1": left} if left else None


def _less(theirs: Fields, ours: Fields) -> Fields:
    """Return *theirs* without *ours*."""
    left: dict[str, Any] = {}
    for key, inner in theirs.items():
        mine = ours.get(key)
        if mine is None or (mine and not inner and _ITSELF not in mine):
            left[key] = inner
        elif mine and (rest := _less(inner, mine)):
            left[key] = rest
    return left


def _spec(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what an object should be; nothing where git has anything else there."""
    spec = value.get("spec")
    return spec if isinstance(spec, dict) else {}


def _entry(model: Fields, manager: str, operation: str, fields: Fields) -> Fields:
    kept = {key: one for key, one in model.items() if key in {"apiVersion", "time"}}
    what = {"manager": manager, "operation": operation}
    return {**kept, **what, "fieldsType": "FieldsV1", "fieldsV1": fields}


def _entries(metadata: Mapping[str, Any]) -> list[Fields]:
    return list(metadata.get("managedFields") or ())


def _is_kubectls(entry: Fields) -> bool:
    return entry.get("manager") in KUBECTL and not entry.get("subresource")


def _fields(entry: Fields) -> Fields:
    return entry.get("fieldsV1") or {}


def _has_replicas(entry: Fields) -> bool:
    return "f:replicas" in (_fields(entry).get("f:spec") or {})


def _without_replicas(fields: Fields) -> Fields:
    spec = {key: one for key, one in fields["f:spec"].items() if key != "f:replicas"}
    return {**fields, "f:spec": spec}


def _union(trees: Iterable[Fields]) -> Fields:
    found: dict[str, Any] = {}
    for tree in trees:
        for key, inner in tree.items():
            found[key] = _union((found.get(key) or {}, inner or {}))
    return found
