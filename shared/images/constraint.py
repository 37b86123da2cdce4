"""
Ranges of versions, exactly as Flux v1 read them (Masterminds/semver 3.1.1).

Surprising, but kept, since policies in use rely on it: a prerelease is refused by *each*
comparator that has none itself, so `>=1.0.0-rc.0, <1.0.1` takes no release candidate.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from shared.images.linear_regex import compile_regex
from shared.images.semver import LABELS, Version


class InvalidConstraintError(ValueError):
    """The text is no range of versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparator:
    """One comparison of a range: `>=1.2`, `~1.x`."""

    operator: str
    version: Version
    """Parts that were left out or wild are 0."""
    any_minor: bool
    any_patch: bool
    wild: bool
    """Some part was left out or wild."""

    def admits(self, version: Version) -> bool:
        """Whether *version* is inside."""
        return _OPERATORS[self.operator](version, self)

    def refuses_prerelease(self, version: Version) -> bool:
        """Whether *version* is a prerelease and the comparator names none."""
        return bool(version.prerelease) and not self.version.prerelease


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """A range of versions: alternatives, each of comparators that must all admit."""

    alternatives: tuple[tuple[Comparator, ...], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read `~1.0`, `^1.2 || 3.x`, `>=1, <2`, `1.0 - 2.0`.

        Raises: InvalidConstraintError.
        """
        parts = _rewrite_hyphens(text).split("||")
        return cls(alternatives=tuple(_comparators(part) for part in parts))

    def admits(self, version: Version) -> bool:
        """Whether some alternative admits *version*."""
        for comparators in self.alternatives:  # not any(all(...)): it is asked for each tag
            for comparator in comparators:
                if not comparator.admits(version):
                    break
            else:
                return True
        return False


def _equal(version: Version, to: Comparator) -> bool:
    if to.refuses_prerelease(version):
        return False
    return _tilde(version, to) if to.wild else version.key == to.version.key


def _not_equal(version: Version, to: Comparator) -> bool:
    if to.wild:
        if to.refuses_prerelease(version):
            return False
        if version.major != to.version.major:
            return True
        if to.any_minor:
            return False
        if version.minor != to.version.minor:
            return True
        if to.any_patch:
            return version.key[4] != to.version.key[4]
    return version.key != to.version.key


def _greater(version: Version, than: Comparator) -> bool:
    if than.refuses_prerelease(version):
        return False
    if version.major == than.version.major:
        # 11.1.0 is not greater than 11, nor 11.1.1 than 11.1.
        if than.any_minor:
            return False
        if than.any_patch:
            return version.minor > than.version.minor
    elif than.wild:
        return version.major > than.version.major
    return version.key > than.version.key


def _less(version: Version, than: Comparator) -> bool:
    return not than.refuses_prerelease(version) and version.key < than.version.key


def _at_least(version: Version, than: Comparator) -> bool:
    return not than.refuses_prerelease(version) and version.key >= than.version.key


def _at_most(version: Version, than: Comparator) -> bool:
    if than.refuses_prerelease(version):
        return False
    if not than.wild:
        return version.key <= than.version.key
    if version.major != than.version.major:
        return version.major < than.version.major
    return than.any_minor or version.minor <= than.version.minor


def _tilde(version: Version, to: Comparator) -> bool:
    low = to.version
    if to.refuses_prerelease(version) or version.key < low.key:
        return False
    # ~0.0.0 and * admit everything.
    if (low.major, low.minor, low.patch) == (0, 0, 0) and not (to.any_minor or to.any_patch):
        return True
    return version.major == low.major and (to.any_minor or version.minor == low.minor)


def _caret(version: Version, to: Comparator) -> bool:
    low = to.version
    if to.refuses_prerelease(version) or version.key < low.key:
        return False
    if low.major > 0 or to.any_minor:
        return version.major == low.major
    if version.major > 0:
        return False
    if low.minor > 0 or to.any_patch:
        return version.minor == low.minor
    return version.patch == low.patch


_OPERATORS: dict[str, Callable[[Version, Comparator], bool]] = {
    "": _equal,
    "=": _equal,
    "!=": _not_equal,
    ">": _greater,
    "<": _less,
    ">=": _at_least,
    "=>": _at_least,
    "<=": _at_most,
    "=<": _at_most,
    "~": _tilde,
    "~>": _tilde,
    "^": _caret,
}

# The grammar, in an engine without backtracking: a policy is other people's text, and these
# patterns would take exponential time in the one of the standard library.
_OPERATOR = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^"
_PART = r"[0-9xX|*]+"  # the bar is an old slip; such a part fails as a number later
_WILD = rf"v?{_PART}(?:\.{_PART})?(?:\.{_PART})?(?:-{LABELS})?(?:\+{LABELS})?"
_ALL = compile_regex(rf"^(?:\s*(?:{_OPERATOR})\s*{_WILD}\s*,?)+$")
_EACH = compile_regex(rf"(?:{_OPERATOR})\s*{_WILD}")
_HYPHEN = compile_regex(rf"\s*({_WILD})\s+-\s+({_WILD})\s*")
_ONE = re.compile(
    rf"({_OPERATOR})[ \t\n\f\r]*"
    rf"(v?({_PART})(?:\.({_PART}))?(?:\.({_PART}))?(-{LABELS})?(?:\+{LABELS})?)"
)


def _rewrite_hyphens(text: str) -> str:
    for found in _HYPHEN.finditer(text):
        text = text.replace(found[0], f">= {found[1]}, <= {found[2]}", 1)
    return text


@lru_cache(maxsize=4096)
def _comparators(text: str) -> tuple[Comparator, ...]:
    if not _ALL.search(text):
        raise InvalidConstraintError(f"{text.strip()!r} is no range of versions")
    return tuple(_comparator(found[0]) for found in _EACH.finditer(text))


def _comparator(text: str) -> Comparator:
    found = _ONE.fullmatch(text)
    assert found, text  # _EACH finds nothing else
    operator, written, major, minor, patch, prerelease = found.groups()
    any_major = major in _WILDCARDS
    any_minor = not any_major and minor in _WILDCARDS
    any_patch = not any_major and not any_minor and patch in _WILDCARDS
    wild = any_major or any_minor or any_patch
    if any_major:
        written = "0.0.0"
    elif wild:
        written = f"{major}.{0 if any_minor else minor}.0{prerelease or ''}"
    version = Version.parse(written)
    if version is None:
        raise InvalidConstraintError(f"{text.strip()!r} is no comparison with a version")
    return Comparator(
        operator=operator, version=version, any_minor=any_minor, any_patch=any_patch, wild=wild
    )


_WILDCARDS = frozenset({None, "", "x", "X", "*"})
