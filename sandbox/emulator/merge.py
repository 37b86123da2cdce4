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
    """
    Keep the applied order, and what only *live* has near to where it was.

    Before an applied item comes what *live* alone has in front of the next item that both have.
    """
    mine = [step_of(item, shape) for item in applied]
    rest = [(step_of(item, shape), item) for item in live]
    known = dict(rest)
    merged: list[Any] = []
    for number, (step, item) in enumerate(zip(mine, applied, strict=True)):
        goal = next((step for step in mine[number:] if step in known), None)
        while rest and rest[0][0] != goal and not (goal is None and rest[0][0] in mine):
            other, value = rest.pop(0)
            merged += [] if other in mine else [value]
        del rest[: step == goal or goal is None]
        merged.append(merge(known.get(step), item, shape.element or FREE))
    return merged + [item for step, item in rest if step not in mine]


def without(value: Any, gone: set[Path], shape: Shape) -> Any:
    """Return *value* without the fields *gone*; what was a map stays one, though empty."""
    if not gone or (inner := children(value, shape)) is None:
        return value
    kept = [
        (step, without(child, {path[1:] for path in gone if path[0] == step}, child_shape))
        for step, child, child_shape in inner
        if (step,) not in gone
    ]
    if isinstance(value, dict):
        return {step[2:]: child for step, child in kept}
    return [child for _, child in kept]
