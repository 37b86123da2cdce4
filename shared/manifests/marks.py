"""
Flux v1's mark of what it applied, byte for byte: whoever copies an object does not copy its proof.

It holds the configuration (URL, branch, paths) and the object's own id.
"""

import base64
from hashlib import sha256

from shared.manifests.ids import WorkloadId

MARK = "fluxcd.io/sync-gc-mark"
"""The label; also what our watches select."""


def set_name(url: str, branch: str, paths: tuple[str, ...]) -> str:
    """Return Flux v1's name for what a daemon with this configuration applies."""
    return _hashed(url, branch, *paths)


def mark(set_name: str, named: WorkloadId) -> str:
    """Return the mark of an object of that set."""
    return f"sha256.{_hashed(set_name, str(named))}"


def _hashed(*parts: str) -> str:
    digest = sha256("".join(parts).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
