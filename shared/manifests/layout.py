"""Where new lines go in a text, and how far they are indented: like the lines around them."""

import re
from collections.abc import Sequence

from shared.manifests.lines import ends_line, eol, line_start, next_line
from shared.manifests.neighbours import space
from shared.manifests.nodes import Place, entries
from shared.manifests.splice import Splice

_ASKED = re.compile(r"[?][ \t]+\Z")
_INDENT = re.compile(r"([ ]*(?:- +)*)[^\s#-]")


def on_new_lines(text: str, after: int, lines: Sequence[str]) -> list[Splice]:
    """Put *lines* after the line of *after*."""
    end = eol(text)
    place = next_line(text, after)
    if place == len(text) and not ends_line(text):
        return [Splice(start=place, end=place, text="".join(end + line for line in lines))]
    return [Splice(start=place, end=place, text="".join(line + end for line in lines))]


def in_front(text: str, key: Place, lines: Sequence[str]) -> list[Splice]:
    """Put *lines* before *key*, which keeps its column; before its line, which may go."""
    end, indent = eol(text), column(text, key)
    start = line_start(text, key.start)
    if start == key.start - indent and not text[start : key.start].strip():
        return [Splice(start=start, end=start, text="".join(line + end for line in lines))]
    inner = "".join(line[indent:] + end + " " * indent for line in lines)
    return [Splice(start=key.start, end=key.start, text=inner)]


def behind(text: str, mapping: Place, entry: tuple[Place, Place], pairs: Sequence[str]) -> Splice:
    """Put *pairs* behind an *entry* of a *mapping* in braces: on lines if it is on one itself."""
    key, value = entry
    start = line_start(text, key.start)
    alone = start > 0 and not text[start : key.start].strip()
    comma = f",{eol(text)}{text[start : key.start]}" if alone else f",{space(text, mapping)}"
    return Splice(start=value.end, end=value.end, text="".join(comma + pair for pair in pairs))


def column(text: str, key: Place) -> int:
    """Return how far *key* is indented."""
    before = text[line_start(text, key.start) : key.start].removeprefix("\ufeff")
    return len(_ASKED.sub("", before))


def step(text: str, mapping: Place) -> int:
    """Return by how many spaces this mapping's keys are indented under their parent's."""
    there = entries(mapping) if mapping.is_mapping else []
    first = there[0][0] if there else mapping
    above, inside = line_start(text, first.start), column(text, first)
    while above:
        above = line_start(text, above - 1)
        indent = _INDENT.match(text, above)
        if indent and len(indent[1]) < inside:
            return inside - len(indent[1])
    return 2
