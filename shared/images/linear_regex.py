"""
Regular expressions in linear time (google-re2), whoever wrote them.

The dialect is the one of Go's `regexp`, which Flux v1 used for `regexp:` policies.
"""

from collections.abc import Iterator
from typing import Protocol, cast

import re2


class InvalidRegexError(ValueError):
    """The text is no regular expression; the sentence says what is wrong."""


class Match(Protocol):
    """A place where the expression was found."""

    def __getitem__(self, group: int) -> str: ...


class Regex(Protocol):
    """A compiled expression."""

    def search(self, text: str) -> Match | None:
        """Find it anywhere in *text*."""

    def finditer(self, text: str) -> Iterator[Match]:
        """Find it everywhere in *text*, leftmost first, without overlap."""


def _quiet() -> re2.Options:
    options = re2.Options()
    options.log_errors = False  # it would write to stderr past our log
    return options


_OPTIONS = _quiet()


def compile_regex(pattern: str) -> Regex:
    """
    Compile *pattern*.

    Raises: InvalidRegexError.
    """
    try:
        return cast("Regex", re2.compile(pattern, _OPTIONS))
    except re2.error as error:
        raise InvalidRegexError(_sentence(error)) from error


def _sentence(error: Exception) -> str:
    reason = error.args[0] if error.args else "unknown error"
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
