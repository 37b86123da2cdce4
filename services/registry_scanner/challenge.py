"""What a registry asks for when it answers 401: the challenges of a WWW-Authenticate header."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_CHALLENGE = re.compile(r"(?:^|,)\s*([A-Za-z][A-Za-z0-9-]*)\s+(?=[A-Za-z_]+=)")
_PARAMETER = re.compile(r'([A-Za-z_]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One way in."""

    scheme: str
    """In lower case: `basic` or `bearer`."""
    parameters: Mapping[str, str]


def challenges(header: str) -> list[Challenge]:
    """Return the challenges of *header*; commas inside quotes belong to their value."""
    starts = list(_CHALLENGE.finditer(_masked(header)))
    found = []
    for number, start in enumerate(starts):
        end = starts[number + 1].start() if number + 1 < len(starts) else len(header)
        text = header[start.end() : end]
        parameters = {m[1].lower(): m[2] or m[3] or "" for m in _PARAMETER.finditer(text)}
        found.append(Challenge(scheme=start[1].lower(), parameters=parameters))
    if not found and header.strip():
        found.append(Challenge(scheme=header.split(maxsplit=1)[0].lower(), parameters={}))
    return found


def _masked(header: str) -> str:
    """Blank out what stands in quotes, so that commas and words there mean nothing."""
    return re.sub(r'"(?:[^"\\]|\\.)*"', lambda found: '"' + "x" * (len(found[0]) - 2) + '"', header)
