"""
Versions, exactly as Flux v1 read them (Masterminds/semver 3.1.1).

Lenient: `v1`, `1.2` and `20200101` are versions. Ranges of them are in `constraint`.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

_UINT64 = 2**64
_LONGEST = 256  # twice the longest tag; Python refuses to read very long numbers
LABELS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
"""Prerelease or build metadata, as a regular expression."""

_VERSION = re.compile(rf"v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:-({LABELS}))?(?:\+({LABELS}))?")


_Key = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version."""

    major: int
    minor: int
    patch: int
    prerelease: str = ""
    text: str
    """As written."""
    key: _Key
    """What versions are compared by: numbers, then prereleases before the release. Build metadata
    does not count: `1.0.0+a` and `1.0.0+b` have the same key."""

    @classmethod
    def parse(cls, text: str) -> "Version | None":
        """Read a version; None if it is none."""
        return _parse(text)


# The same tags are looked at again and again: for each workload, and each time of a scan.
@lru_cache(maxsize=16_384)
def _parse(text: str) -> Version | None:
    found = _VERSION.fullmatch(text) if len(text) <= _LONGEST else None
    if not found:
        return None
    major, minor, patch = (int(number or 0) for number in found.group(1, 2, 3))
    prerelease = found[4] or ""
    if max(major, minor, patch) >= _UINT64 or _has_leading_zero(prerelease):
        return None
    labels = tuple(map(_label_key, prerelease.split("."))) if prerelease else ()
    return Version(
        major=major,
        minor=minor,
        patch=patch,
        prerelease=prerelease,
        text=text,
        key=(major, minor, patch, not prerelease, labels),
    )


def _has_leading_zero(prerelease: str) -> bool:
    labels = prerelease.split(".")
    return any(len(one) > 1 and one[0] == "0" and one.isdigit() for one in labels)


def _label_key(label: str) -> tuple[bool, int, str]:
    # Numbers come before words; what does not fit 64 bits is a word, as in the original.
    if label.isdigit() and int(label) < _UINT64:
        return False, int(label), ""
    return True, 0, label
