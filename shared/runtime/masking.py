"""
Takes secrets out of text before anybody reads it: logs, health pages, errors.

User and password of every URL are masked, and the values of secrets that are known, in each
spelling in which they turn up: as they are, in a URL, in JSON, in Python's repr.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote, urlsplit

_USERINFO = re.compile(r"(?<=://)[^\s/?#'\"<>]+@")

MASK = "***"

SHORTEST = 6
"""Characters of a secret; masking shorter ones would make every text unreadable."""

LONG_LINE = 20
"""Characters from which on a single line of a secret (of a private key) is one by itself."""


def without_userinfo(text: str) -> str:
    """Mask user and password in every URL of *text*."""
    return _USERINFO.sub(f"{MASK}@", text)


class Masking:
    """Masks the secrets that *known* returns, however many there are by now."""

    def __init__(self, known: Callable[[], frozenset[str]]) -> None:
        self._known = known
        self._compiled_for: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None

    def __call__(self, text: str) -> str:
        """Return *text* without secrets."""
        known = self._known()
        if known != self._compiled_for:
            self._compiled_for, self._pattern = known, _pattern(known)
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        return without_userinfo(text)


def _pattern(known: Iterable[str]) -> re.Pattern[str] | None:
    spellings = {spelt for secret in known for part in _parts(secret) for spelt in _spelt(part)}
    # The longest first: else the rest of it would be left standing.
    ordered = sorted(spellings, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, ordered))) if ordered else None


def _parts(secret: str) -> Iterator[str]:
    """Yield what must not be shown: of URLs only their passwords, since the host helps people."""
    if "://" in secret:
        parts = [_password(url) for url in (secret, *secret.split(","))]
    else:
        parts = [secret, *(line for line in secret.splitlines() if len(line) >= LONG_LINE)]
    yield from (part for part in parts if len(part) >= SHORTEST)


def _password(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return url


def _spelt(secret: str) -> Iterator[str]:
    yield secret
    yield quote(secret, safe="")
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
