"""
What a scalar means to kubectl: the rules of go-yaml v2, and then of JSON.

YAML 1.1 with deviations: `yes`, `on`, `y` are true; `0644` is octal; `22:22` and `2024-01-01`
are strings; `1e3` and `1.0` are whole numbers once they have been through JSON.
"""

import math
import re
from base64 import b64decode

Scalar = str | int | float | bool | None

_TRUE = ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")
_FALSE = ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")
_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(_TRUE, True),
    **dict.fromkeys(_FALSE, False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_MAY_BE_SPECIAL = frozenset("+-.0123456789~") | {word[0] for word in _WORDS if word}
_INT = re.compile(
    r"([+-]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))", re.ASCII
)
_FLOAT = re.compile(r"[+-]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][+-]?[0-9]+)?")
_LOOSE = re.compile(r"_(?![0-9])|(?<![0-9])_", re.ASCII)
"""An underscore that is not between digits."""
_TAG = "tag:yaml.org,2002:"
_INT64 = 2**63
_LONGEST_INT = 100  # in characters; Python refuses to read very long ones


class Whole(int):
    """A whole number that is written as a float: JSON does not tell them apart, go-yaml does."""

    written: float


class Unsigned(float):
    """A whole number that only unsigned 64 bits hold: a float in JSON, and written in full."""

    written: int


class Key(str):
    """A mapping's key that is written as a number or a bool."""

    __slots__ = ("written",)
    written: int | float | bool


class ScalarError(ValueError):
    """The value can't be what it claims to be, or can't be said in JSON."""


def resolve(text: str) -> Scalar:
    """Return the value of a plain (unquoted, untagged) scalar."""
    if not text:
        return None
    if text[0] not in _MAY_BE_SPECIAL:
        return text
    if text in _WORDS:
        return _finite(_WORDS[text])
    if text[0] in "+-.0123456789":
        return _number(text)
    return text


def resolve_tagged(tag: str, text: str) -> Scalar:
    """
    Return the value of a scalar with an explicit *tag*.

    Tags that are not YAML's own are no reason to refuse: the value is a string.
    Raises: ScalarError if the text is nothing of that kind.
    """
    name = tag.removeprefix(_TAG)
    if name == "binary":
        return _binary(text)
    if name not in {"int", "float", "bool", "null"}:
        return text
    value = resolve(text)
    # By exact type, since to Python True is an int.
    kinds = {"int": (int, Unsigned), "bool": (bool,), "null": (type(None),)}
    if name == "float" and type(value) in {int, float, Whole, Unsigned}:
        return _finite(float(value))  # type: ignore[arg-type] # a number, by its type
    if type(value) not in kinds.get(name, ()):
        raise ScalarError(f"{text!r} is tagged !!{name}, but is none")
    return value


def key_text(value: Scalar) -> str:
    """
    Return the name of a mapping's key: JSON knows only strings.

    Raises: ScalarError for null.
    """
    if isinstance(value, str):
        return value
    if value is None:
        raise ScalarError("a key is empty (null)")
    key = Key(("false", "true")[value] if isinstance(value, bool) else value)
    key.written = value.written if isinstance(value, Whole | Unsigned) else value
    return key


def _binary(text: str) -> str:
    try:
        return b64decode("".join(text.split()), validate=True).decode()
    except ValueError as error:  # also of base64 and of UTF-8
        raise ScalarError("a !!binary value is no base64 of text") from error


def _number(text: str) -> Scalar:
    digits = text.replace("_", "")
    if len(digits) <= _LONGEST_INT and (found := _INT.fullmatch(digits)):
        whole = _integer(found)
        if -_INT64 <= whole < _INT64:
            return whole
        if whole < 2 * _INT64 and not digits.startswith(("-", "+")):
            return _unsigned(whole)
    if (text[0] == "." and _LOOSE.search(text)) or not _FLOAT.fullmatch(digits):
        return text
    value = float(digits)
    # What is too large for a float is a string: 1e400, and often a commit's hash.
    return _finite(value) if math.isfinite(value) else text


def _integer(found: re.Match[str]) -> int:
    sign, *by_base = found.groups()
    for digits, base in zip(by_base, (16, 2, 8, 10), strict=True):
        if digits is not None:
            return int(sign + digits, base)
    raise AssertionError(found)


def _unsigned(whole: int) -> Unsigned:
    value = Unsigned(whole)
    value.written = whole
    return value


def _finite(value: Scalar) -> Scalar:
    """Say a float as JSON says it: whole ones are whole numbers, endless ones don't exist."""
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        raise ScalarError(f"{value} is no number that JSON knows; quote it if it is a string")
    if not value.is_integer() or not -_INT64 <= value < _INT64:
        return value
    whole = Whole(value)
    whole.written = value
    return whole
