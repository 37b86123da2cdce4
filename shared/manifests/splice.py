"""
Replacing a piece of a text by another, and writing a string as a YAML scalar.

A splice names its piece by characters. What is written stays a string for every reader: for
YAML 1.1 (`yes`, `0644`, `22:22`) and for 1.2 alike.
"""

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from shared.manifests.lines import BREAKS
from shared.manifests.nodes import Place
from shared.manifests.scalars import ScalarError, resolve


class EditError(ValueError):
    """The edit was not made; the sentence says why. The text is as it was."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Splice:
    """Put *text* where *start* to *end* was."""

    start: int
    end: int
    text: str


def apply(text: str, splices: Iterable[Splice]) -> str:
    """
    Make all *splices*, which may touch but not overlap; the same one twice is made once.

    Raises: EditError.
    """
    pieces, place = [], 0
    for splice in dict.fromkeys(sorted(splices, key=lambda one: (one.start, one.end))):
        if splice.start < place:
            raise EditError("two of the edits want to change the same place")
        pieces += [text[place : splice.start], splice.text]
        place = splice.end
    return "".join([*pieces, text[place:]])


def replace_scalar(text: str, place: Place, value: str) -> Splice:
    """
    Write *value* in the place of a scalar (or an alias), in its style.

    Raises: EditError.
    """
    if place.is_alias:
        return Splice(start=place.start, end=place.end, text=write(value, flow=place.in_flow))
    if not place.is_scalar:
        raise EditError("there is a mapping or list where a text was expected")
    start = place.content(text)
    if place.style in {"|", ">"}:
        return _replace_in_block(text, place, value)
    written = write(value, style=place.style, flow=place.in_flow)
    if place.is_empty:
        has_space = text[start : start + 1] == " " and text[start + 1 : start + 2] in {*BREAKS, ""}
        return Splice(start=start, end=start + has_space, text=f" {written}")
    return Splice(start=start, end=place.end, text=written)


def replace_text(text: str, place: Place, value: str, *, style: str) -> Splice:
    """
    Write *value* in the place of any text; a block that can't say it becomes a line, in *style*.

    Raises: EditError.
    """
    if place.style not in {"|", ">"}:
        return replace_scalar(text, place, value)
    if not place.node.text.endswith("\n"):
        with suppress(EditError):
            return replace_scalar(text, place, value)
    start = place.content(text)
    block = text[start : place.end].rstrip()
    comment = block.splitlines()[0].lstrip("|>+-0123456789").rstrip()
    written = write(value, style=style)
    return Splice(start=start, end=start + len(block), text=written + comment)


def write(value: str, *, style: str = "", flow: bool = False) -> str:
    """Write a string: in *style* where that is possible, else in double quotes."""
    if style == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    if style == "" and is_plain(value, flow=flow):
        return value
    return _UNPRINTABLE.sub(_escape, json.dumps(value, ensure_ascii=False))


def is_plain(value: str, *, flow: bool) -> bool:
    """Whether *value* can stand without quotes and still be read as this string."""
    if not (_PLAIN_IN_FLOW if flow else _PLAIN).fullmatch(value) or ": " in value:
        return False
    if " #" in value or value.endswith((":", " ")) or _ODD_ONES.fullmatch(value):
        return False
    try:
        return resolve(value) == value
    except ScalarError:
        return False


# Narrower than YAML: what begins with a letter, digit or underscore and has nothing odd in it.
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@:~^*<>=|+() ,!?$#;%&-]*")
_PLAIN_IN_FLOW = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@+:~^*=-]*")
# Numbers and times of other readers than kubectl: 1_000, 0o17, 22:22, 12e03, 2024-01-01.
_ODD_ONES = re.compile(
    r"[0-9][0-9_,]*"
    r"|0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+"
    r"|[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|[0-9][0-9_,]*\.[0-9_]*(?:[eE][-+]?[0-9_]+)?"
    r"|[0-9][0-9_,]*[eE][-+]?[0-9_]+"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?"
)
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _replace_in_block(text: str, place: Place, value: str) -> Splice:
    """A block scalar of one line keeps its header; its line is replaced."""
    old = place.node.text.rstrip("\n")
    found = text.rfind(old, place.start, place.end) if old else -1
    if found < 0 or "\n" in old or not value.isprintable() or value != value.strip():
        raise EditError("the text stands in a block of several lines")
    return Splice(start=found, end=found + len(old), text=value)
