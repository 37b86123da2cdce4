"""What a registry asks for when it answers 401: the challenges of a WWW-Authenticate header."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_PART = re.compile(r'(?:"(?:[^"\\]|\\.)*+(?:"|\\?$)|[^",])+')
_PARAMETER = re.compile(r'([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)|([^\s"=][^\s"]*))')
_SCHEME = re.compile(r"([\w-]+)(?:\s+(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One way in."""

    scheme: str
    """In lower case: `basic` or `bearer`."""
    parameters: Mapping[str, str] = field(default_factory=dict)


def challenges(header: str) -> list[Challenge]:
    """
    Return the challenges of *header*.

    Commas separate both challenges and their parameters; inside quotes they belong to the value.
    """
    found: list[tuple[str, dict[str, str]]] = []
    for part in _PART.findall(header):
        text = part.strip()
        parameter = _PARAMETER.match(text)
        if not parameter:
            scheme = _SCHEME.fullmatch(text)
            if not scheme:
                continue
            found.append((scheme[1].lower(), {}))
            parameter = _PARAMETER.match(scheme[2] or "")
        if parameter and found:
            value = parameter[3] or re.sub(r"\\(.)", r"\1", parameter[2] or "")
            found[-1][1][parameter[1].lower()] = value
    return [Challenge(scheme=scheme, parameters=parameters) for scheme, parameters in found]
