"""
How an image is written: `[domain/]path[:tag][@digest]`.

The grammar is the one of the OCI distribution specification and of docker's references. What
was written stays as it was written (`str(ImageRef.parse(text)) == text`); what is implied by
convention (Docker Hub, `library/`) is only in the properties that say so.
"""

import re
from dataclasses import dataclass, replace
from typing import Self

DOCKER_HUB = "index.docker.io"
"""The canonical domain of Docker Hub, as Flux v1 writes it."""

_HUB_SPELLINGS = frozenset({"", "docker.io", DOCKER_HUB, "registry-1.docker.io"})
_HUB_HTTP_HOST = "registry-1.docker.io"

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?")
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[+._-][A-Za-z][A-Za-z0-9]*)*:[0-9A-Fa-f]{32,}")
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST_NAME = 255
_LONGEST = 1024


class InvalidReferenceError(ValueError):
    """The text is no image reference; the sentence names the part at fault."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(f"{text!r} is no image reference: {why}")
        self.text = text


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRef:
    """An image reference, part by part, as it was written."""

    path: str
    """`library/nginx`, `acme/web`; never empty."""
    domain: str = ""
    """`ghcr.io`, `registry:5000`; empty where Docker Hub is implied."""
    tag: str | None = None
    digest: str | None = None
    """`sha256:...`"""

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read a reference.

        Raises: InvalidReferenceError.
        """
        if len(text) > _LONGEST:
            raise InvalidReferenceError(
                f"{text[:80]}...", f"it is longer than {_LONGEST} characters"
            )
        rest, at, digest = text.partition("@")
        name, tag = _split_tag(rest)
        domain, path = _split_domain(name)
        ref = cls(domain=domain, path=path, tag=tag, digest=digest if at else None)
        if why := _fault(ref):
            raise InvalidReferenceError(text, why)
        return ref

    def __str__(self) -> str:
        tag = "" if self.tag is None else f":{self.tag}"
        digest = "" if self.digest is None else f"@{self.digest}"
        return f"{self.repository}{tag}{digest}"

    @property
    def repository(self) -> str:
        """Domain and path as written: `nginx`, `registry:5000/web`."""
        return f"{self.domain}/{self.path}" if self.domain else self.path

    @property
    def on_docker_hub(self) -> bool:
        """Whether Docker Hub serves it, said or implied."""
        return self.domain.lower() in _HUB_SPELLINGS

    @property
    def canonical_domain(self) -> str:
        """`index.docker.io` for every spelling of Docker Hub; a host's name is lower case."""
        return DOCKER_HUB if self.on_docker_hub else self.domain.lower()

    @property
    def registry_path(self) -> str:
        """The name that the registry knows it by: `library/nginx` for `nginx`."""
        if self.on_docker_hub and "/" not in self.path:
            return f"library/{self.path}"
        return self.path

    @property
    def canonical_repository(self) -> str:
        """The same for all spellings of one repository: `index.docker.io/library/nginx`."""
        return f"{self.canonical_domain}/{self.registry_path}"

    @property
    def registry_host(self) -> str:
        """The host (and port) that answers HTTP; for Docker Hub it has another name."""
        return _HUB_HTTP_HOST if self.on_docker_hub else self.domain

    @property
    def pinned(self) -> bool:
        """Whether a digest says exactly which image is meant."""
        return self.digest is not None

    def same_repository(self, other: "ImageRef") -> bool:
        """Whether both name one repository, however they spell it."""
        return self.canonical_repository == other.canonical_repository

    def with_tag(self, tag: str) -> Self:
        """
        Return the reference in the same spelling with *tag*.

        A digest is dropped: it belonged to the former tag.
        Raises: InvalidReferenceError.
        """
        if not is_tag(tag):
            raise InvalidReferenceError(f"{self.repository}:{tag}", _tag_fault(tag))
        return replace(self, tag=tag, digest=None)


def is_tag(text: str) -> bool:
    """Whether *text* may be a tag: up to 128 letters, digits, `_`, `.`, `-`."""
    return _TAG.fullmatch(text) is not None


def _split_tag(text: str) -> tuple[str, str | None]:
    # A colon before the last slash belongs to a port.
    colon = text.rfind(":")
    if colon <= text.rfind("/"):
        return text, None
    return text[:colon], text[colon + 1 :]


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    is_domain = "." in first or ":" in first or first == "localhost" or first != first.lower()
    return (first, rest) if slash and is_domain else ("", name)


def _fault(ref: ImageRef) -> str | None:
    if ref.domain and not _DOMAIN.fullmatch(ref.domain):
        return f"{ref.domain!r} is no host name"
    if not _PATH.fullmatch(ref.path):
        return _path_fault(ref.path)
    if len(ref.repository) > _LONGEST_NAME:
        return f"its name is longer than {_LONGEST_NAME} characters"
    if ref.tag is not None and not is_tag(ref.tag):
        return _tag_fault(ref.tag)
    if ref.digest is not None and not _is_digest(ref.digest):
        return f"{ref.digest!r} is no digest (like sha256: and 64 hexadecimal digits)"
    return None


def _path_fault(path: str) -> str:
    if not path:
        return "it has no name"
    if path != path.lower():
        return f"{path!r} has upper case letters; a repository's name is lower case"
    return f"{path!r} is no repository name (lower case letters and digits, `.`, `_`, `-`, `/`)"


def _tag_fault(tag: str) -> str:
    return f"{tag!r} is no tag (up to 128 letters, digits, `_`, `.`, `-`)"


def _is_digest(text: str) -> bool:
    if text.startswith("sha256:"):
        return _SHA256.fullmatch(text) is not None
    return _DIGEST.fullmatch(text) is not None
