"""
Which tags a workload's annotation asks for: `glob:`, `semver:`, `regexp:`.

The forms are Flux v1's. One difference on purpose: an invalid pattern matches nothing and
says why, where v1 let it match everything.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from shared.images.constraint import Constraint, InvalidConstraintError
from shared.images.linear_regex import InvalidRegexError, Regex, compile_regex
from shared.images.reference import is_tag
from shared.images.semver import Version


class Kind(StrEnum):
    """How tags are matched, and so how they are ordered."""

    GLOB = "glob"
    SEMVER = "semver"
    REGEXP = "regexp"


_PREFIXES = {
    "glob:": Kind.GLOB,
    "semver:": Kind.SEMVER,
    "regexp:": Kind.REGEXP,
    "regex:": Kind.REGEXP,
}
_SHOWN = 200
"""Characters of an invalid pattern, and of what is said of it, that are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagPolicy:
    """A pattern for tags. Equal if kind and pattern are."""

    kind: Kind
    pattern: str
    """Without prefix."""
    problem: str | None = None
    """Why it is invalid, in a sentence for the one who wrote the annotation."""
    _constraint: Constraint | None = field(default=None, compare=False, repr=False)
    _regex: Regex | None = field(default=None, compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a pattern; `glob:` is the default. Never fails: look at *problem*."""
        for prefix, kind in _PREFIXES.items():
            if text.startswith(prefix):
                return cls._of(kind, text.removeprefix(prefix))
        return cls._of(Kind.GLOB, text)

    @classmethod
    def _of(cls, kind: Kind, pattern: str) -> Self:
        if pattern != pattern.encode("utf-8", "replace").decode():
            return cls(kind=kind, pattern=pattern, problem=f"{kind}: matches no tag: it is no text")
        try:
            constraint = Constraint.parse(pattern) if kind is Kind.SEMVER else None
            regex = compile_regex(pattern) if kind is Kind.REGEXP else None
        except InvalidConstraintError as error:
            why = f"{_short(error)} (like ~1.2, >=1.0 <2 or 1.x)"
        except InvalidRegexError as error:
            why = f"it is no regular expression ({_short(error)})"
        else:
            return cls(kind=kind, pattern=pattern, _constraint=constraint, _regex=regex)
        problem = f"{_short(f'{kind}:{pattern}')} matches no tag: {why}"
        return cls(kind=kind, pattern=pattern, problem=problem)

    def __str__(self) -> str:
        return f"{self.kind}:{self.pattern}"

    @property
    def valid(self) -> bool:
        """Whether the pattern could be read."""
        return self.problem is None

    @property
    def needs_created(self) -> bool:
        """Whether the newest tag is the one created last; versions order themselves."""
        return self.kind is not Kind.SEMVER

    def matches(self, tag: str) -> bool:
        """Whether *tag* is asked for. `latest` must be asked for by name: `glob:latest`."""
        if not self.valid or not is_tag(tag):
            return False
        if tag.lower() == "latest" and str(self) != "glob:latest":
            return False
        if self._regex is not None:
            return self._regex.search(tag) is not None
        if self._constraint is not None:
            version = Version.parse(tag)
            return version is not None and self._constraint.admits(version)
        return _glob(self.pattern, tag)


def _short(text: object) -> str:
    whole = str(text)
    return whole if len(whole) <= _SHOWN else f"{whole[:_SHOWN]}..."


def _glob(pattern: str, tag: str) -> bool:
    """Match with `*` alone, case-sensitive; `?` and `[` are themselves."""
    first, *rest = pattern.split("*")
    if not rest:
        return tag == pattern
    *middle, last = rest
    if not tag.startswith(first):
        return False
    place = len(first)
    for piece in middle:
        found = tag.find(piece, place)
        if found < 0:
            return False
        place = found + len(piece)
    return len(tag) - place >= len(last) and tag.endswith(last)


EVERYTHING = TagPolicy.parse("glob:*")
"""The policy of a container without one."""
