"""Where new lines go in a text, and how far they are indented: like the lines around them."""

import re
from collections.abc import Sequence

from shared.manifests.lines import ends_line, eol, line_start, next_line
from shared.manifests.nodes import Place, entries
from shared.manifests.splice import Splice

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


def behind(text: str, entry: tuple[Place, Place], pairs: Sequence[str]) -> Splice:
    """Put *pairs* behind an *entry* in braces: on lines of their own if it stands on its own."""
    key, value = entry
    start = line_start(text, key.start)
    alone = start > 0 and not text[start : key.start].strip()
    comma = f",{eol(text)}{text[start : key.start]}" if alone else ", "
    return Splice(start=value.end, end=value.end, text="".join(comma + pair for pair in pairs))


def column(text: str, key: Place) -> int:
    """Return how far *key* is indented."""
    start = line_start(text, key.start)
    return key.start - start - text.startswith("\ufeff", start)


def step(text: str, mapping: Place) -> int:
    """Return by how many spaces this mapping's keys are indented under their parent's."""
    there = entries(mapping) if mapping.is_mapping else []
    start = there[0][0].start if there else mapping.start
    above = line_start(text, start)
    column = start - above
    while above:
        above = line_start(text, above - 1)
        indent = _INDENT.match(text, above)
        if indent and len(indent[1]) < column:
            return column - len(indent[1])
    return 2
