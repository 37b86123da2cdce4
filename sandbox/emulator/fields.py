"""
Sets of fields, as server-side apply writes them down in ``fieldsV1``.

A path is a tuple of steps, each step in its written form: ``f:name`` for a field,
``k:{"name":"web"}`` for an item of a list with keys, ``v:"x"`` for a value of a set.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sandbox.emulator.shapes import FREE, Shape

Path = tuple[str, ...]
Fields = frozenset[Path]
Child = tuple[str, Any, Shape]


class DuplicateError(Exception):
    """A list has two items with the same key; the text says where."""


def children(value: Any, shape: Shape) -> list[Child] | None:
    """Return what *value* is made of, or None where it is owned as a whole."""
    if not shape.is_granular:
        return None
    if value is None:
        return []
    if isinstance(value, dict) and shape.kind != "list":
        return [(f"f:{name}", inner, shape.child(name) or FREE) for name, inner in value.items()]
    if isinstance(value, list) and shape.kind == "list":
        item_shape = shape.element or FREE
        return [(step_of(item, shape), item, item_shape) for item in value]
    return None


def step_of(item: Any, shape: Shape) -> str:
    """Return the step to *item* of a list of *shape*."""
    if shape.is_set or not isinstance(item, dict):
        return f"v:{_json(item)}"
    known = shape.element.fields if shape.element else {}
    key = {
        name: item.get(name, known[name].default if name in known else None) for name in shape.keys
    }
    return f"k:{_json({name: value for name, value in key.items() if value is not None})}"


def field_set(value: Any, shape: Shape) -> Fields:
    """
    Return the fields that *value* sets.

    Raises:
        DuplicateError: two items of a list have the same key.
    """
    return frozenset(_owned(value, shape, ()))


def _owned(value: Any, shape: Shape, path: Path) -> Iterator[Path]:
    inner = children(value, shape)
    if inner is None:
        yield path
        return
    seen: set[str] = set()
    for step, child, child_shape in inner:
        if step in seen:
            raise DuplicateError(f"{describe(path)}: duplicate entries for key {_bracket(step)}")
        seen.add(step)
        here = (*path, step)
        yield from _owned(child, child_shape, here)
        if not step.startswith("f:") or child in (None, {}) or step[2:] not in shape.fields:
            yield here


def with_parents(fields: Iterable[Path], shape: Shape) -> set[Path]:
    """Add the declared fields on the way to each of *fields*."""
    found: set[Path] = set()
    for path in fields:
        found.add(path)
        at: Shape | None = shape
        for length, step in enumerate(path[:-1], start=1):
            if at is not None and step.startswith("f:") and step[2:] in at.fields:
                found.add(path[:length])
            at = at and (at.child(step[2:]) if step.startswith("f:") else at.element)
    return found


def encode(fields: Fields) -> dict[str, Any]:
    """Write *fields* as ``fieldsV1``."""
    tree: dict[str, Any] = {}
    for path in sorted(fields):
        node = tree
        for step in path:
            node = node.setdefault(step, {})
        node["."] = {}
    return _without_lone_dots(tree)


def _without_lone_dots(tree: dict[str, Any]) -> dict[str, Any]:
    if list(tree) == ["."]:
        return {}
    return {step: _without_lone_dots(inner) for step, inner in sorted(tree.items())}


def decode(tree: Mapping[str, Any]) -> Fields:
    """Read ``fieldsV1``."""
    return frozenset(_decoded(tree, ()))


def _decoded(tree: Mapping[str, Any], path: Path) -> Iterator[Path]:
    for step, inner in tree.items():
        if step == ".":
            yield path
        elif inner:
            yield from _decoded(inner, (*path, step))
        else:
            yield (*path, step)


def describe(path: Path) -> str:
    """Write *path* for people: ``.spec.containers[name="web"].image``."""
    return "".join(f".{step[2:]}" if step.startswith("f:") else _bracket(step) for step in path)


def _bracket(step: str) -> str:
    value = json.loads(step[2:])
    if step.startswith("v:"):
        return f"[={_json(value)}]"
    return f"[{','.join(f'{name}={_json(inner)}' for name, inner in value.items())}]"


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
