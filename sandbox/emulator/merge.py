"""How server-side apply puts a manifest into a live object, and takes fields out of one."""

from typing import Any

from sandbox.emulator.fields import Path, children, step_of
from sandbox.emulator.shapes import FREE, Shape


def merge(live: Any, applied: Any, shape: Shape) -> Any:
    """Return *live* with everything that *applied* says."""
    if live is None or not shape.is_granular:
        return applied
    if isinstance(live, dict) and isinstance(applied, dict) and shape.kind != "list":
        merged = dict(live)
        for name, value in applied.items():
            merged[name] = merge(live.get(name), value, shape.child(name) or FREE)
        return merged
    if isinstance(live, list) and isinstance(applied, list) and shape.kind == "list":
        return _merge_lists(live, applied, shape)
    return applied


def _merge_lists(live: list[Any], applied: list[Any], shape: Shape) -> list[Any]:
    """Keep the applied order; an item that only *live* has stays before what it stood before."""
    here = {step_of(item, shape): item for item in applied}
    rest = [(step_of(item, shape), item) for item in live]
    known = dict(rest)
    merged: list[Any] = []
    for step, item in here.items():
        while rest and rest[0][0] not in here:
            merged.append(rest.pop(0)[1])
        rest = [entry for entry in rest if entry[0] != step]
        merged.append(merge(known.get(step), item, shape.element or FREE))
    return [*merged, *(item for _, item in rest)]


def without(value: Any, gone: set[Path], shape: Shape) -> Any:
    """Return *value* without the fields *gone*; a container left empty goes, too."""
    if not gone or (inner := children(value, shape)) is None:
        return value
    kept: list[tuple[str, Any]] = []
    for step, child, child_shape in inner:
        if (step,) in gone:
            continue
        below = {path[1:] for path in gone if path[0] == step}
        left = without(child, below, child_shape)
        if not (below and left in ({}, []) and child not in ({}, [])):
            kept.append((step, left))
    if isinstance(value, dict):
        return {step[2:]: child for step, child in kept}
    return [child for _, child in kept]
