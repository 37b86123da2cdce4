"""The forms of single values in `flux.yaml`."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from shared.config.templates import compiled

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
"""A DNS label."""


ServiceAccount = Annotated[
    str,
    StringConstraints(
        pattern=r"^$|^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"
    ),
]


def _relative(path: str) -> str:
    if path.startswith("/") or ".." in Path(path).parts:
        raise ValueError(f"{path!r} must be relative and stay inside the repository")
    return path.strip("/")


RepoPath = Annotated[str, AfterValidator(_relative)]

Port = Annotated[int, Field(ge=0, le=65535)]
"""0 picks a free one; the log says which."""


def _listen(address: str) -> str:
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError(f"{address!r} must be host:port, as in 127.0.0.1:3031")
    return address


Listen = Annotated[str, AfterValidator(_listen)]
"""`host:port`; port 0 picks a free one."""


def _http_url(url: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", url):
        raise ValueError(f"{url!r} must be an address, as in http://renderer:3031")
    return url


HttpUrl = Annotated[str, AfterValidator(_http_url)]


def _variable(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError(f"{name!r} is no name of a variable: letters, digits and _")
    return name


Variable = Annotated[str, AfterValidator(_variable)]
"""The name of an environment variable."""


def _ref_name(name: str) -> str:
    parts = name.split("/")
    bad = any(part.startswith((".", "-")) or part.endswith((".", ".lock")) for part in parts)
    if name and (bad or ".." in name or not all(re.fullmatch(r"[\w.-]+", p) for p in parts)):
        raise ValueError(f"{name!r} is no name that git would take: letters, digits, ._-/")
    return name


RefName = Annotated[str, AfterValidator(_ref_name)]
"""Of a branch or a tag, without `refs/heads/`."""


def _template(text: str) -> str:
    compiled(text)
    return text


MessageTemplate = Annotated[str, AfterValidator(_template)]
"""A template of a commit message; empty: the built-in one."""
