"""
How go-yaml v2 writes one scalar: plain, quoted, as a block, and where it breaks a long line.

A text that would be read as anything else stands in double quotes, one of several lines is a
block, and quoted and plain texts go on in the next line at the first space after column 80.
"""

import re
from calendar import monthrange
from collections.abc import Iterable
from decimal import Decimal

from shared.manifests.scalars import ScalarError, Unsigned, Whole, resolve

WIDTH = 80
LONGEST_KEY = 128
"""Bytes."""

_SIMPLE = re.compile(
    r"(?:--)?[A-Za-z_/][A-Za-z0-9_./=-]*(?:[:@+,][A-Za-z0-9_./=-]+)*|[0-9]+(?:m|s|h|[KMGT]i)"
)
"""Most texts: they need no quotes, whatever the rules are."""
_WORDS = frozenset({"y", "yes", "n", "no", "true", "false", "on", "off", "null"})
_INDICATOR = re.compile(
    r"""[#,\[\]{}&*!|>'"%@` ]|---|\.\.\.|[?:-](?: |\Z)|.*?(?: \Z|:(?: |\Z)| \#)""", re.DOTALL
)
_UNPRINTABLE = re.compile("[^\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]")
_BREAK = re.compile("[\n\r\x85\u2028\u2029]")
_TRAILING = re.compile(r" (?:\n|\Z)")
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?", re.ASCII)
_TIME = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})"
    r"(?:(?:[Tt]|( +))([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[.,][0-9]+)?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})?)?",
    re.ASCII,
)
_ESCAPES = {
    "\0": "\\0",
    "\a": "\\a",
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\v": "\\v",
    "\f": "\\f",
    "\r": "\\r",
    "\x1b": "\\e",
    '"': '\\"',
    "\\": "\\\\",
    "\x85": "\\N",
    "\u2028": "\\L",
    "\u2029": "\\P",
}
_SPECIAL = re.compile(f'["\\\\]|[\x85\u2028\u2029\\n]|{_UNPRINTABLE.pattern}')
_BOM = "\ufeff"


def number(value: float) -> str:
    """Return a number; of floats the shortest one that reads the same, as Go writes it."""
    written = value.written if isinstance(value, Whole | Unsigned) else value
    return str(written) if isinstance(written, int) else _float(written)


def _float(value: float) -> str:
    shortest = Decimal(repr(value)).normalize()
    sign, digits, exponent = shortest.as_tuple()
    point = len(digits) + int(exponent) - 1
    if value == 0 or -4 <= point < 6:
        return format(shortest, "f")
    text = "".join(map(str, digits))
    fraction = f".{text[1:]}" if len(text) > 1 else ""
    return f"{'-' if sign else ''}{text[0]}{fraction}e{point:+03d}"


def text(value: str, column: int, indent: int) -> str:
    """Return a text that begins at *column*, and goes on in further lines at *indent*."""
    if _SIMPLE.fullmatch(value) and value.lower() not in _WORDS:
        return value
    quote = _quote(value)
    if quote == "|":
        return _block(value, indent)
    line = _in_one_line(value, quote)
    if " " in value and column + len(line) > WIDTH:
        return _folded(value, column, indent, quote)
    return line


def key(value: str) -> str | None:
    """Return a key of a mapping in one line; None where it takes the long way, behind a `?`."""
    if _BREAK.search(value) or len(value.encode()) > LONGEST_KEY:
        return None
    return _in_one_line(value, _quote(value))


def _quote(value: str) -> str:
    """Return what a text is quoted with: nothing, `'`, `"`, or `|` for a block."""
    if "\n" in value:
        return '"' if _UNPRINTABLE.search(value) or _TRAILING.search(value) else "|"
    if _UNPRINTABLE.search(value) or not _is_text(value):
        return '"'
    return "'" if _INDICATOR.match(value) else ""


def _is_text(value: str) -> bool:
    """Tell whether *value* is read as a text where it stands without quotes."""
    try:
        resolved = resolve(value)
    except ScalarError:
        return False
    return resolved == value and not _BASE_60.fullmatch(value) and not _is_time(value)


def _is_time(value: str) -> bool:
    found = _TIME.fullmatch(value)
    if not found:
        return False
    year, month, day, spaces, hour, minute, second, zone = found.groups(default="")
    if hour and bool(spaces) == bool(zone):
        return False
    is_day = 1 <= int(month) <= 12 and 1 <= int(day) <= monthrange(int(year), int(month))[1]
    return is_day and int(hour or 0) < 24 and int(minute or 0) < 60 and int(second or 0) < 60


def _block(value: str, indent: int) -> str:
    hint = "2" if value[0] in " \n" else ""
    ends = len(value) - len(value.rstrip("\n"))
    chomp = "-" if not ends else "+" if ends > 1 or value == "\n" else ""
    lines = value.removesuffix("\n").split("\n")
    pad = " " * indent
    return "\n".join((f"|{hint}{chomp}", *(pad + line if line else "" for line in lines)))


def _in_one_line(value: str, quote: str) -> str:
    if not quote:
        return value
    return f"{quote}{''.join(_written(value, quote))}{quote}"


def _written(value: str, quote: str) -> Iterable[str]:
    """Return what is written for each character."""
    if quote != '"':
        return ("''" if quote and one == "'" else one for one in value)
    # A byte order mark in front makes go-yaml escape all that is behind it.
    if value.startswith(_BOM):
        return map(_escaped, value)
    if not _SPECIAL.search(value):
        return value
    return (_escaped(one) if _SPECIAL.match(one) else one for one in value)


def _escaped(one: str) -> str:
    code = ord(one)
    return _ESCAPES.get(one) or (
        f"\\x{code:02X}"
        if code <= 0xFF
        else f"\\u{code:04X}"
        if code <= 0xFFFF
        else f"\\U{code:08X}"
    )


def _folded(value: str, column: int, indent: int, quote: str) -> str:
    """Behind column 80 go on in the next line at a space, which is left out."""
    parts = list(_written(value, quote))
    out, column, last = [quote], column + len(quote), len(parts) - 1
    for place, part in enumerate(parts):
        breaks = part == " " and column > WIDTH and 0 < place < last and parts[place - 1] != " "
        if not breaks or (quote != '"' and parts[place + 1] == " "):
            out.append(part)
            column += len(part)
            continue
        out.append("\n" + " " * indent)
        column = indent
        if parts[place + 1] == " ":
            out.append("\\")
            column += 1
    return "".join((*out, quote))
