"""
The three patch formats besides server-side apply: merge, JSON and strategic merge patches.

Pure: each takes a value and returns another, and leaves its arguments as they are.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.emulator.shapes import FREE, Shape

_ORDER, _RETAIN, _DROP = "$setElementOrder/", "$retainKeys", "$deleteFromPrimitiveList/"


class PatchError(Exception):
    """A patch does not fit the object; the text says why."""


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply a merge patch (RFC 7386)."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def json_patch(target: Any, operations: Sequence[Mapping[str, Any]]) -> Any:
    """
    Apply a JSON patch (RFC 6902).

    Raises:
        PatchError: a path does not exist, or a test failed.
    """
    root = {"": copy.deepcopy(target)}
    for operation in operations:
        path, verb = operation["path"], operation["op"]
        if verb in ("move", "copy"):
            value = copy.deepcopy(_read(root, operation["from"]))
            if verb == "move":
                _change(root, operation["from"], "remove", None)
            _change(root, path, "add", value)
        elif verb == "test":
            if _read(root, path) != operation.get("value"):
                raise PatchError(f"testing value {path} failed")
        else:
            _change(root, path, verb, copy.deepcopy(operation.get("value")))
    return root[""]


def _steps(pointer: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")]


def _read(root: Any, pointer: str) -> Any:
    try:
        for step in _steps(pointer):
            root = root[int(step)] if isinstance(root, list) else root[step]
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise PatchError(f"there is nothing at {pointer}") from error
    return root


def _change(root: Any, pointer: str, verb: str, value: Any) -> None:
    *way, last = _steps(pointer)
    parent = _read(root, "/".join(way)) if way else root
    try:
        if isinstance(parent, list):
            _change_item(parent, len(parent) if last == "-" else int(last), verb, value)
        elif verb == "add" or (verb == "replace" and parent[last] is not Ellipsis):
            parent[last] = value
        elif verb == "remove":
            del parent[last]
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise PatchError(f"the {verb} operation does not apply at {pointer}") from error


def _change_item(items: list[Any], index: int, verb: str, value: Any) -> None:
    if verb == "add":
        items.insert(index, value)
    elif verb == "replace":
        items[index] = value
    elif verb == "remove":
        del items[index]


def strategic_patch(target: Any, patch: Any, shape: Shape) -> Any:
    """Apply a strategic merge patch: a merge patch in which lists merge by key."""
    if not isinstance(patch, Mapping):
        return patch
    if patch.get("$patch") == "replace":
        return {name: value for name, value in patch.items() if name != "$patch"}
    merged = dict(target) if isinstance(target, Mapping) else {}
    if _RETAIN in patch:
        merged = {name: value for name, value in merged.items() if name in patch[_RETAIN]}
    for name, value in patch.items():
        _merge_entry(merged, name, value, patch, shape)
    return merged


def _merge_entry(
    merged: dict[str, Any], name: str, value: Any, patch: Mapping[str, Any], shape: Shape
) -> None:
    inner = shape.child(name) or FREE
    if name.startswith(_DROP):
        name = name.removeprefix(_DROP)
        merged[name] = [item for item in merged.get(name, ()) if item not in value]
    elif name.startswith(_ORDER):
        name = name.removeprefix(_ORDER)
        inner = shape.child(name) or FREE
        if name not in patch:
            live = merged.get(name) or []
            merged[name] = _in_order(live, value, live, inner.merge_key or "")
    elif name.startswith("$"):
        return
    elif value is None or (isinstance(value, Mapping) and value.get("$patch") == "delete"):
        merged.pop(name, None)
    elif isinstance(value, list) and inner.merge_key is not None:
        live = merged.get(name) or []
        items = _merge_lists(live, value, inner)
        merged[name] = _in_order(items, patch.get(_ORDER + name, value), live, inner.merge_key)
    else:
        merged[name] = strategic_patch(merged.get(name), value, inner)


def _merge_lists(live: list[Any], patch: list[Any], shape: Shape) -> list[Any]:
    key = shape.merge_key
    if not key:
        return [*live, *(item for item in patch if item not in live)]
    if {"$patch": "replace"} in patch:
        return [item for item in patch if item != {"$patch": "replace"}]
    gone = [item.get(key) for item in patch if item.get("$patch") == "delete"]
    merged = [item for item in live if item.get(key) not in gone]
    for item in patch:
        if item.get("$patch") == "delete":
            continue
        at = next((n for n, one in enumerate(merged) if one.get(key) == item.get(key)), len(merged))
        base = merged[at] if at < len(merged) else {}
        merged[at : at + 1] = [strategic_patch(base, item, shape.element or FREE)]
    return merged


def _in_order(items: list[Any], order: Sequence[Any], live: Sequence[Any], key: str) -> list[Any]:
    """
    Sort those *items* that the patch names by its *order*, the rest as they were in *live*.

    One of the rest comes before one of the patch only if that was so in *live*.
    """

    def name(item: Any) -> Any:
        return item.get(key) if key else item

    wanted, places = [name(one) for one in order], [name(one) for one in live]
    ours = sorted((i for i in items if name(i) in wanted), key=lambda i: wanted.index(name(i)))
    rest = [item for item in items if name(item) not in wanted]
    merged: list[Any] = []
    for item in ours:
        place = places.index(name(item)) if name(item) in places else -1
        while rest and places.index(name(rest[0])) < place:
            merged.append(rest.pop(0))
        merged.append(item)
    return merged + rest
