"""
Setting and removing annotations in a text, where and how a person would.

An existing map keeps its style and indentation; a new one follows the name (and namespace) of
the object. New ones stand behind others of ours. The last annotation takes its map along.
"""

from collections.abc import Mapping, Sequence

from shared.manifests.layout import (
    behind,
    column,
    in_front,
    on_new_lines,
    step,
)
from shared.manifests.lines import ANY_BREAK, BREAKS, ends_line, line_start, next_line, unended
from shared.manifests.neighbours import key_style, quote, space, style
from shared.manifests.nodes import Place, child, entries, key_of, target
from shared.manifests.policies import policy_name
from shared.manifests.splice import EditError, Splice, replace_text, write

_FIELD = "annotations"
_NAMES = frozenset({"name", "namespace"})

Entry = tuple[Place, Place]


def annotation_splices(
    text: str, metadata: Place, changes: Mapping[str, str | None]
) -> list[Splice]:
    """
    Return what to splice so that the annotations under *metadata* have *changes*.

    Raises: EditError.
    """
    metadata = target(metadata)
    found = child(metadata, _FIELD)
    added = {key: value for key, value in changes.items() if value is not None}
    if found is None:
        return _insert(text, metadata, {_FIELD: added}, after=_NAMES) if added else []
    annotations = target(found)
    if annotations.is_null:
        return _fill(text, metadata, annotations, added) if added else []
    if not annotations.is_mapping:
        raise EditError("metadata.annotations is no mapping")
    return _change(text, metadata, annotations, changes)


def _change(
    text: str, metadata: Place, annotations: Place, changes: Mapping[str, str | None]
) -> list[Splice]:
    there = entries(annotations)
    names = [key_of(key) for key, _ in there]
    gone = [name in changes and changes[name or ""] is None for name in names]
    fresh = {key: value for key, value in changes.items() if value is not None and key not in names}
    if there and all(gone) and not fresh:
        inside = entries(metadata)
        flags = [key_of(key) == _FIELD for key, _ in inside]
        return _remove(text, metadata, inside, flags)
    splices = [
        replace_text(text, value, wanted, style=style(wanted, quote(annotations)))
        for (_, value), name in zip(there, names, strict=True)
        if (wanted := changes.get(name or "")) is not None
    ]
    if annotations.is_flow:
        return splices + _change_flow(text, metadata, annotations, gone, fresh)
    splices += _remove(text, annotations, there, gone)
    ours = frozenset(name for name in names if name and policy_name(name) is not None)
    return splices + (_insert(text, annotations, fresh, after=ours) if fresh else [])


def _change_flow(
    text: str,
    metadata: Place,
    annotations: Place,
    gone: Sequence[bool],
    fresh: Mapping[str, str],
) -> list[Splice]:
    there = entries(annotations)
    if fresh and all(gone):
        near = annotations if there else metadata
        inner = f",{space(text, near)}".join(_pairs(text, near, fresh))
        start = there[0][0].start if there else annotations.content(text) + 1
        return [Splice(start=start, end=there[-1][1].end if there else start, text=inner)]
    splices = _remove(text, annotations, there, gone)
    if fresh:
        last = max(index for index, is_gone in enumerate(gone) if not is_gone)
        splices.append(behind(text, annotations, there[last], _pairs(text, annotations, fresh)))
    return splices


# --- removing ---------------------------------------------------------------------------------


def _remove(
    text: str, mapping: Place, there: Sequence[Entry], gone: Sequence[bool]
) -> list[Splice]:
    if mapping.is_flow:
        return _remove_flow(there, gone)
    spans: list[tuple[int, int]] = []
    for entry, is_gone in zip(there, gone, strict=True):
        if is_gone:
            start, end = _lines_of(text, entry)
            if spans and spans[-1][1] == start:
                start, _ = spans.pop()
            spans.append((start, end))
    return [_without(text, start, end) for start, end in spans]


def _lines_of(text: str, entry: Entry) -> tuple[int, int]:
    key, value = entry
    start = line_start(text, key.start)
    if text[start : key.start].strip():
        raise EditError("an annotation to remove does not stand on a line of its own")
    return start, _end_of_entry(text, value)


def _without(text: str, start: int, end: int) -> Splice:
    """Take lines out; where the last one has no end, the one before it loses its own."""
    if end == len(text) and not ends_line(text):
        start = len(unended(text[:start]))
    return Splice(start=start, end=end, text="")


def _end_of_entry(text: str, value: Place) -> int:
    """Return where the next line starts, after the value's last character."""
    last = value
    while last.is_mapping and not last.is_flow and last.node.pairs:
        last = entries(last)[-1][1]
    if last.style in {"|", ">"} and text[last.end - 1] in BREAKS:
        return last.end
    return next_line(text, last.end)


def _remove_flow(there: Sequence[Entry], gone: Sequence[bool]) -> list[Splice]:
    splices, index = [], 0
    while index < len(there):
        if not gone[index]:
            index += 1
            continue
        first = index
        while index < len(there) and gone[index]:
            index += 1
        if index < len(there):
            splices.append(Splice(start=there[first][0].start, end=there[index][0].start, text=""))
        else:
            start = there[first - 1][1].end if first else there[first][0].start
            splices.append(Splice(start=start, end=there[-1][1].end, text=""))
    return splices


# --- adding -----------------------------------------------------------------------------------

_Value = str | Mapping[str, str]


def _insert(
    text: str,
    mapping: Place,
    fresh: Mapping[str, _Value],
    *,
    after: frozenset[str] | None = None,
) -> list[Splice]:
    """Add entries to a mapping that has some: *after* those keys, else where a line can follow."""
    there = entries(mapping)
    if not there:
        raise EditError("metadata is empty")
    if mapping.is_flow:
        return [behind(text, mapping, there[-1], _pairs(text, mapping, fresh))]
    indent = column(text, there[0][0])
    lines = _lines(text, mapping, fresh, " " * indent)
    anchor = _entry_to_follow(text, there, after) or _entry_to_follow(text, there, None)
    if anchor is None:
        return in_front(text, there[0][0], lines)
    return on_new_lines(text, anchor[1].end, lines)


def _entry_to_follow(
    text: str, there: Sequence[Entry], names: frozenset[str] | None
) -> Entry | None:
    """Return the last entry of one line (of *names*, if given) that a line can follow."""
    for key, value in reversed(there):
        one_line = value.style not in {"|", ">"} and not ANY_BREAK.search(
            text, key.start, value.end
        )
        if one_line and (names is None or key_of(key) in names):
            return key, value
    return None


def _fill(text: str, metadata: Place, empty: Place, added: Mapping[str, str]) -> list[Splice]:
    """Turn an empty `annotations:` (or one that says null) into a map."""
    start = empty.content(text)
    end = start if empty.is_empty else empty.end
    if metadata.is_flow:
        gap = space(text, metadata)
        inner = f",{gap}".join(_pairs(text, metadata, added))
        before = "" if text[start - 1] == " " else gap
        return [Splice(start=start, end=end, text=f"{before}{{{inner}}}")]
    if not empty.is_empty:  # the space before the null goes too
        start = len(text[:start].rstrip(" "))
    key = next(key for key, _ in entries(metadata) if key_of(key) == _FIELD)
    indent = " " * (column(text, key) + step(text, metadata))
    lines = _lines(text, metadata, added, indent)
    return [Splice(start=start, end=end, text=""), *on_new_lines(text, end, lines)]


def _lines(text: str, near: Place, fresh: Mapping[str, _Value], indent: str) -> list[str]:
    quotes, keys = quote(near), key_style(near)
    lines = []
    for key, value in fresh.items():
        start = f"{indent}{write(key, style=keys)}:"
        if isinstance(value, str):
            lines.append(f"{start} {write(value, style=style(value, quotes))}")
        else:
            deeper = indent + " " * step(text, near)
            lines += [start, *_lines(text, near, value, deeper)]
    return lines


def _pairs(text: str, near: Place, fresh: Mapping[str, _Value]) -> list[str]:
    # JSON stays JSON: where the neighbours' keys are quoted, everything is.
    quotes, keys, gap = quote(near), key_style(near), space(text, near)
    pairs = []
    for key, value in fresh.items():
        if isinstance(value, str):
            written = write(value, style=keys or style(value, quotes, flow=True), flow=True)
        else:
            written = f"{{{f',{gap}'.join(_pairs(text, near, value))}}}"
        pairs.append(f"{write(key, style=keys, flow=True)}:{gap}{written}")
    return pairs
