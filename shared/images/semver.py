"""
Versions, exactly as Flux v1 read them (Masterminds/semver 3.1.1).

Lenient: `v1`, `1.2` and `20200101` are versions. Ranges of them are in `constraint`.
"""

import re
from dataclasses import dataclass
from typing import Self

_UINT64 = 2**64
_LONGEST = 256  # twice the longest tag; Python refuses to read very long numbers
LABELS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
"""Prerelease or build metadata, as a regular expression."""

_VERSION = re.compile(rf"v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:-({LABELS}))?(?:\+({LABELS}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """
    A version. *key* orders it: numbers, then prereleases before the release.

    Build metadata does not count: `1.0.0+a` and `1.0.0+b` have the same key.
    """

    major: int
    minor: int
    patch: int
    prerelease: str = ""
    text: str
    """As written."""

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read a version; None if it is none."""
        found = _VERSION.fullmatch(text) if len(text) <= _LONGEST else None
        if not found:
            return None
        major, minor, patch = (int(number or 0) for number in found.group(1, 2, 3))
        prerelease = found[4] or ""
        if max(major, minor, patch) >= _UINT64 or _has_leading_zero(prerelease):
            return None
        return cls(major=major, minor=minor, patch=patch, prerelease=prerelease, text=text)

    @property
    def key(self) -> tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]:
        """What versions are compared by."""
        labels = tuple(map(_label_key, self.prerelease.split("."))) if self.prerelease else ()
        return self.major, self.minor, self.patch, not self.prerelease, labels


def _has_leading_zero(prerelease: str) -> bool:
    labels = prerelease.split(".")
    return any(len(one) > 1 and one[0] == "0" and one.isdigit() for one in labels)


def _label_key(label: str) -> tuple[bool, int, str]:
    # Numbers come before words; what does not fit 64 bits is a word, as in the original.
    if label.isdigit() and int(label) < _UINT64:
        return False, int(label), ""
    return True, 0, label
