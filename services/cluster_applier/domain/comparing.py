"""What a person sees of a change: an object before and after as lines of YAML, without secrets."""

from collections.abc import Mapping
from difflib import unified_diff
from typing import Any

import yaml

from shared.manifests import ObjectId

Object = Mapping[str, Any]

_OF_THE_SERVER = frozenset(
    {"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"}
)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""Holds the whole object once more, a Secret's values too."""
_VALUES = ("data", "stringData")
LONGEST = 20_000
"""Characters of one object's difference that are shown."""


def difference(named: ObjectId, before: Object | None, after: Object | None) -> str:
    """Return how an object changes, as `diff -u` shows it; None where it is not there."""
    if (named.group, named.kind) == ("", "Secret"):
        before, after = _masked(before, after)
    lines = unified_diff(_lines(before), _lines(after), "cluster", "git", lineterm="", n=3)
    text = "\n".join(lines)
    if len(text) > LONGEST:
        return f"{text[:LONGEST].rpartition(chr(10))[0]}\n... and more"
    return text


def _lines(value: Object | None) -> list[str]:
    if value is None:
        return []
    metadata = {k: one for k, one in value["metadata"].items() if k not in _OF_THE_SERVER}
    annotations = dict(metadata.pop("annotations", None) or {})
    annotations.pop(_LAST_APPLIED, None)
    if annotations:
        metadata["annotations"] = annotations
    kept = {key: one for key, one in value.items() if key not in {"status", "metadata"}}
    return yaml.safe_dump({**kept, "metadata": metadata}, width=1_000).splitlines()


def _masked(before: Object | None, after: Object | None) -> tuple[Object | None, Object | None]:
    """Leave the values of a Secret out, but not which of them change."""
    old, new = _values(before), _values(after)

    def hidden(key: str, other: Mapping[str, Any], value: Any, side: str) -> str:
        return "***" if key in other and other[key] == value else f"*** ({side})"

    def mask(value: Object | None, ours: Object, other: Object, side: str) -> Object | None:
        if value is None:
            return None
        rest = {key: one for key, one in value.items() if key not in _VALUES}
        data = {key: hidden(key, other, one, side) for key, one in ours.items()}
        return {**rest, "data": data} if data else rest

    return mask(before, old, new, "before"), mask(after, new, old, "after")


def _values(value: Object | None) -> dict[str, Any]:
    if value is None:
        return {}
    return {key: one for name in _VALUES for key, one in (value.get(name) or {}).items()}
