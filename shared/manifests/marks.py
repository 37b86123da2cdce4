"""
Flux v1's marks of what it applied, byte for byte: whoever copies an object does not copy its proof.

The mark holds the configuration (URL, branch, paths) and the object's own id; the checksum is of
what git declares, before anything is added to it.
"""

import base64
from collections.abc import Mapping
from hashlib import sha1, sha256
from typing import Any

from shared.manifests.go_yaml import marshal
from shared.manifests.ids import WorkloadId

MARK = "fluxcd.io/sync-gc-mark"
"""The label; also what our watches select."""
CHECKSUM = "fluxcd.io/sync-checksum"
"""The annotation."""


def set_name(url: str, branch: str, paths: tuple[str, ...]) -> str:
    """Return Flux v1's name for what a daemon with this configuration applies."""
    return _hashed(url, branch, *paths)


def mark(set_name: str, named: WorkloadId) -> str:
    """Return the mark of an object of that set."""
    return f"sha256.{_hashed(set_name, str(named))}"


def checksum(declared: Mapping[str, Any]) -> str:
    """Return the checksum of an object as it was read."""
    return sha1(marshal(declared).encode(), usedforsecurity=False).hexdigest()


def _hashed(*parts: str) -> str:
    digest = sha256("".join(parts).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
