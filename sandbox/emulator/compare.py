"""Which fields differ between two states of an object."""

from dataclasses import dataclass, field
from typing import Any

from sandbox.emulator.fields import Path, children
from sandbox.emulator.shapes import FREE, Shape


@dataclass(frozen=True, slots=True)
class Changes:
    """The fields that one state has and the other has not, or not so."""

    added: set[Path] = field(default_factory=set)
    removed: set[Path] = field(default_factory=set)
    modified: set[Path] = field(default_factory=set)


def compare(old: Any, new: Any, shape: Shape) -> Changes:
    """Return what must change to get from *old* to *new*."""
    changes = Changes()
    _compare(old, new, shape, (), changes)
    return changes


def _compare(old: Any, new: Any, shape: Shape, path: Path, changes: Changes) -> None:
    if old == new:
        return
    before, after = children(old, shape), children(new, shape)
    is_leaf = before is None or after is None or not (before or after)
    if not is_leaf:
        _compare_parts(before or [], after or [], path, changes)
    if path and old is None:
        changes.added.add(path)
    elif path and new is None:
        changes.removed.add(path)
    elif path and is_leaf:
        changes.modified.add(path)


def _compare_parts(before: list[Any], after: list[Any], path: Path, changes: Changes) -> None:
    olds = {step: value for step, value, _ in before}
    news = {step: value for step, value, _ in after}
    shapes = {step: shape for step, _, shape in (*before, *after)}
    for step in (*olds, *(step for step in news if step not in olds)):
        _compare(olds.get(step), news.get(step), shapes.get(step, FREE), (*path, step), changes)
