"""
A document as go-yaml v2 writes it, byte for byte: what Flux v1 makes its checksums of.

Block style, two spaces, lists not indented under their key, keys in go-yaml's natural order
(`a2` before `a10`, digits before letters). Read `go_scalars` for texts and numbers.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cmp_to_key, lru_cache
from typing import Any

from shared.manifests import go_scalars as scalars
from shared.manifests.scalars import Key

KNOWN = 1024
"""Mappings have few different sets of keys."""
_LETTERS = re.compile(r"[A-Za-z./-]*")


def marshal(value: Mapping[str, Any]) -> str:
    """Return an object as it was read, as go-yaml v2 would write it."""
    lines: list[str] = []
    if not value:
        return "{}\n"
    _mapping(lines, value, 0, "")
    return "\n".join((*lines, ""))


def _mapping(lines: list[str], value: Mapping[str, Any], indent: int, begun: str) -> None:
    """Write a mapping; its first line has *begun* already."""
    pad = " " * indent
    for name, written in _keys(value):
        if written is None:
            where = f"{begun}? "
            lines.append(where + scalars.text(name, len(where), indent + 2))
            _item(lines, value[name], indent, f"{pad}:")
        else:
            _value(lines, value[name], indent, f"{begun}{written}:")
        begun = pad


def _value(lines: list[str], value: Any, indent: int, begun: str) -> None:
    """Write what belongs to a key, from the next line on where it has several."""
    kind = type(value)
    if kind is dict and value:
        lines.append(begun)
        _mapping(lines, value, indent + 2, " " * (indent + 2))
    elif kind is list and value:
        lines.append(begun)
        _sequence(lines, value, indent, " " * indent)
    else:
        lines.append(f"{begun} {_scalar(value, len(begun) + 1, indent + 2)}")


def _sequence(lines: list[str], value: Sequence[Any], indent: int, begun: str) -> None:
    for one in value:
        _item(lines, one, indent, f"{begun}-")
        begun = " " * indent


def _item(lines: list[str], value: Any, indent: int, begun: str) -> None:
    """Write what stands behind a `-` or `:`, in the same line."""
    if value and isinstance(value, dict):
        _mapping(lines, value, indent + 2, f"{begun} ")
    elif value and isinstance(value, list):
        _sequence(lines, value, indent + 2, f"{begun} ")
    else:
        lines.append(f"{begun} {_scalar(value, len(begun) + 1, indent + 2)}")


def _scalar(value: Any, column: int, indent: int) -> str:
    match value:
        case str():
            return scalars.text(value, column, indent)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return scalars.number(value)
        case _:
            return "{}" if isinstance(value, dict) else "[]"


def _keys(value: Mapping[str, Any]) -> Iterable[tuple[str, str | None]]:
    """Return the keys in their order, each with how it is written."""
    if Key not in map(type, value):
        return _texts(tuple(value))
    names = sorted(value, key=cmp_to_key(_compared))
    return [(name, _key(name)) for name in names]


@lru_cache(KNOWN)
def _texts(names: tuple[str, ...]) -> Sequence[tuple[str, str | None]]:
    # Of letters alone the natural order is the one of their codes.
    simple = _LETTERS.fullmatch("".join(names))
    ordered = sorted(names) if simple else sorted(names, key=cmp_to_key(_compared))
    return [(name, scalars.key(name)) for name in ordered]


def _key(name: str) -> str | None:
    return _scalar(name.written, 0, 0) if isinstance(name, Key) else scalars.key(name)


def _compared(a: str, b: str) -> int:
    if isinstance(a, Key) or isinstance(b, Key):
        return _by_value(a, b)
    for place, (one, other) in enumerate(zip(a, b, strict=False)):
        if one != other:
            return _by_letter(a, b, place)
    return len(a) - len(b)


def _by_value(a: str, b: str) -> int:
    """Compare keys that are no texts: numbers by what they are, and before texts."""
    if isinstance(a, Key) and isinstance(b, Key):
        return -1 if (float(a.written), _rank(a)) < (float(b.written), _rank(b)) else 1
    return -1 if isinstance(a, Key) else 1


def _rank(key: Key) -> int:
    return (bool, int, float).index(type(key.written))


def _by_letter(a: str, b: str, place: int) -> int:
    """Compare texts that differ from *place* on: letters last, numbers by what they come to."""
    one, other = a[place], b[place]
    if one.isalpha() != other.isalpha():
        return -1 if other.isalpha() else 1
    if one.isalpha():
        return -1 if one < other else 1
    leads = "0" in {one, other} and _is_in_number(a, place)
    first, second = _digits(a, place, leads=leads), _digits(b, place, leads=leads)
    return -1 if (*first, one) < (*second, other) else 1


def _is_in_number(text: str, place: int) -> bool:
    """Tell whether a digit other than 0 stands before *place* in the same number."""
    before = re.search(r"\d*\Z", text[:place])
    return before is not None and bool(before[0].strip("0"))


def _digits(text: str, place: int, *, leads: bool) -> tuple[int, int]:
    """Return the number that goes on at *place*, and how many digits it has there."""
    found = re.compile(r"\d*").match(text, place)
    digits = found[0] if found else ""
    # In 64 bits, as Go counts: very long numbers go round.
    return (int(f"{int(leads)}{digits}") + 2**63) % 2**64 - 2**63, len(digits)
