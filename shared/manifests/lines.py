"""
Where lines start and end, as YAML 1.1 and its parsers see it.

Besides the usual ends a line may end in a lone carriage return, a next line (U+0085), or a line or
paragraph separator (U+2028, U+2029); text copied from elsewhere has them.
"""

import re

BREAKS = "\n\r\x85\u2028\u2029"
"""The commonest first: the others are looked for within its lines only."""

ANY_BREAK = re.compile(f"\r\n|[{BREAKS}]")
_USUAL = re.compile("\r?\n")


def line_start(text: str, place: int) -> int:
    """Return where the line of *place* starts."""
    start = 0
    for one in BREAKS:
        start = max(start, text.rfind(one, start, place) + 1)
    return start


def next_line(text: str, place: int) -> int:
    """Return where the line after that of *place* starts."""
    end = len(text)
    for one in BREAKS:
        found = text.find(one, place, end)
        end = found if found >= 0 else end
    return end + (2 if text.startswith("\r\n", end) else end < len(text))


def ends_line(text: str) -> bool:
    """Whether the last line of *text* has its end."""
    return text[-1:] in BREAKS and bool(text)


def unended(text: str) -> str:
    """Return *text* without the end of its last line."""
    return text.removesuffix("\n").removesuffix("\r") if text[-1:] == "\n" else text.rstrip(BREAKS)


def eol(text: str) -> str:
    """Return how lines end in *text*."""
    found = _USUAL.search(text) or ANY_BREAK.search(text)
    return found[0] if found else "\n"
