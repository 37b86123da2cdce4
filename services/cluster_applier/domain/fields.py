"""
Single fields of an object: whose they are by managedFields, how they are called, and without them.

A path is the keys of `fieldsV1` from the top: `f:name` a field, `k:{...}` an item of a list by its
keys, `v:...` an item by its value.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.cluster_applier.domain.ownership import is_ours

Path = tuple[str, ...]
Entries = Iterable[Mapping[str, Any]]

MOST = 20
"""So many fields are named; who needs more looks at the object."""
_ITSELF = "."


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """A field, and who owns it."""

    field: str
    manager: str

    def __str__(self) -> str:
        return f"{self.field} ({self.manager})" if self.manager else self.field


def our_paths(entries: Entries) -> frozenset[Path]:
    """Return the fields that are ours, by an object's managedFields."""
    return frozenset(path for entry in entries if is_ours(entry) for path in _paths(entry))


def lost(entries: Entries, ours: frozenset[Path]) -> list[Path]:
    """Return which fields that were *ours* are so no more: somebody changed or removed them."""
    return _outermost(ours - our_paths(entries))


def owned(paths: Iterable[Path], entries: Entries) -> tuple[Owned, ...]:
    """Return whose fields are, beside ours; of very many the first ones."""
    others = [(entry, _paths(entry)) for entry in entries if not is_ours(entry)]
    some = sorted(paths)[:MOST]
    return tuple(Owned(field=text(path), manager=_manager(path, others)) for path in some)


def others_paths(entries: Entries, fields: Collection[str]) -> dict[Path, str]:
    """Return the paths of those *fields* that others own, and who."""
    return {
        path: str(entry.get("manager", ""))
        for entry in entries
        if not is_ours(entry)
        for path in _paths(entry)
        if text(path) in fields
    }


def without(value: Any, paths: Iterable[Path]) -> Any:
    """Return *value* without the fields at *paths*."""
    for path in paths:
        value = _without(value, path)
    return value


def text(path: Path) -> str:
    """Return a path as the API server writes it: `.spec.containers[name="web"].image`."""
    return "".join(map(_text, path))


def _text(key: str) -> str:
    kind, _, rest = key.partition(":")
    match kind:
        case "f":
            return f".{rest}"
        case "k":
            keys = sorted(json.loads(rest).items())
            return f"[{','.join(f'{name}={json.dumps(one)}' for name, one in keys)}]"
        case "v":
            return f"[={rest}]"
        case _:
            return f"[{rest}]"


def _paths(entry: Mapping[str, Any]) -> frozenset[Path]:
    return frozenset(_leaves(entry.get("fieldsV1") or {}, ()))


def _leaves(tree: Mapping[str, Any], at: Path) -> Iterator[Path]:
    for key, inner in tree.items():
        if key == _ITSELF:
            yield at
        elif inner:
            yield from _leaves(inner, (*at, key))
        else:
            yield (*at, key)


def _outermost(paths: frozenset[Path]) -> list[Path]:
    """Leave out what goes with a whole item that is named, too."""
    return sorted(
        path for path in paths if not any(path[:end] in paths for end in range(1, len(path)))
    )


def _manager(path: Path, others: Iterable[tuple[Mapping[str, Any], frozenset[Path]]]) -> str:
    return next((str(entry.get("manager", "")) for entry, paths in others if path in paths), "")


def _without(value: Any, path: Path) -> Any:
    if not path:
        return value
    key, *rest = path
    kind, _, name = key.partition(":")
    if kind == "f" and isinstance(value, dict) and name in value:
        kept = {one: inner for one, inner in value.items() if one != name}
        return {**kept, name: _without(value[name], tuple(rest))} if rest else kept
    if kind in {"k", "v"} and isinstance(value, list):
        wanted = json.loads(name)
        return [
            _without(item, tuple(rest)) if _is(item, wanted) else item
            for item in value
            if rest or not _is(item, wanted)
        ]
    return value


def _is(item: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict) and isinstance(item, dict):
        # The server's defaults are in the keys, and need not be in the manifest.
        return all(item.get(key, one) == one for key, one in wanted.items())
    return bool(item == wanted)
