"""What a person sees of a change: an object before and after as lines of YAML, without secrets."""

from collections.abc import Mapping
from difflib import unified_diff
from itertools import zip_longest
from typing import Any

import yaml

from shared.manifests import ObjectId
from shared.manifests.marks import CHECKSUM

Object = Mapping[str, Any]

_OF_THE_SERVER = frozenset(
    {"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"}
)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""Holds the whole object once more, a Secret's values too."""
_NOT_SHOWN = (_LAST_APPLIED, CHECKSUM)
"""The checksum is of the whole object, too."""
_VALUES = ("data", "stringData")
_NAMES = ("apiVersion", "kind")
_NOTHING: Mapping[str, Any] = {}
LONGEST = 20_000
"""Characters of one object's difference that are shown."""


def difference(
    named: ObjectId, before: Object | None, after: Object | None, *, encrypted: bool = False
) -> str:
    """
    Return how an object changes, as `diff -u` shows it; None where it is not there.

    *encrypted*: all values of it are secret.
    """
    if encrypted:
        before, after = _unnamed(before, after, "before"), _unnamed(after, before, "after")
    elif named.is_secret:
        before, after = _masked(before, after, "before"), _masked(after, before, "after")
    lines = unified_diff(_lines(before), _lines(after), "cluster", "git", lineterm="", n=3)
    text = "\n".join(lines)
    if len(text) > LONGEST:
        return f"{text[:LONGEST].rpartition(chr(10))[0]}\n... and more"
    return text


def _lines(value: Object | None) -> list[str]:
    if value is None:
        return []
    metadata = {k: one for k, one in value["metadata"].items() if k not in _OF_THE_SERVER}
    annotations = metadata.pop("annotations", None) or {}
    annotations = {key: one for key, one in annotations.items() if key not in _NOT_SHOWN}
    if annotations:
        metadata["annotations"] = annotations
    kept = {key: one for key, one in value.items() if key not in {"status", "metadata"}}
    return yaml.safe_dump({**kept, "metadata": metadata}, width=1_000).splitlines()


def _masked(value: Object | None, other: Object | None, side: str) -> Object | None:
    """Leave the values of a Secret out, but not which of them differ."""
    if value is None:
        return None
    there = other or _NOTHING
    values = {key: value[key] for key in _VALUES if key in value}
    return {**value, **{key: _hidden(one, there.get(key), side) for key, one in values.items()}}


def _unnamed(value: Object | None, other: Object | None, side: str) -> Object | None:
    """Leave everything out but names, and which values differ."""
    if value is None:
        return None
    hidden = _hidden(value, other, side)
    metadata, names = value["metadata"], ("name", "namespace")
    shown = {key: metadata[key] for key in names if key in metadata}
    named = {key: value[key] for key in _NAMES if key in value}
    return {**hidden, **named, "metadata": {**hidden["metadata"], **shown}}


def _hidden(value: Any, other: Any, side: str) -> Any:
    if isinstance(value, Mapping):
        there = other if isinstance(other, Mapping) else _NOTHING
        return {key: _hidden(one, there.get(key), side) for key, one in value.items()}
    if isinstance(value, list):
        beside = other if isinstance(other, list) else []
        pairs = zip_longest(value, beside[: len(value)])
        return [_hidden(one, there, side) for one, there in pairs]
    return "***" if value == other else f"*** ({side})"
