"""
What a kubeconfig from a cluster may say.

Whoever may write the Secret must not be able to run programs in our place, or to read our files.
"""

from collections.abc import Iterator, Mapping
from typing import Any

LARGEST = 256 * 1024
"""Bytes; no kubeconfig of one cluster is as large, and to read more takes long."""

_ALLOWED: Mapping[str, Mapping[str, type]] = {
    "user": {
        "token": str,
        "client-certificate-data": str,
        "client-key-data": str,
        "username": str,
        "password": str,
    },
    "cluster": {
        "server": str,
        "certificate-authority-data": str,
        "insecure-skip-tls-verify": bool,
        "tls-server-name": str,
        "proxy-url": str,
        # Nothing comes of these, but programs write them.
        "extensions": list,
        "disable-compression": bool,
    },
}


class UnsafeError(ValueError):
    """A kubeconfig that says more than it may; the sentence names keys, never a value."""


def checked(value: Any) -> Any:
    """
    Return *value* if it is a kubeconfig that holds all that it needs.

    Raises:
        UnsafeError: it names files or programs.
        ValueError: it is no kubeconfig.
    """
    for held in _held(value, "context"):
        if not all(isinstance(held.get(key, ""), str) for key in ("cluster", "user")):
            raise ValueError("a context names what is no name")
    for kind, allowed in _ALLOWED.items():
        for held in _held(value, kind):
            unknown = sorted(str(key) for key in held if key not in allowed)
            if unknown:
                raise UnsafeError(f"{kind}s may not use {', '.join(unknown)}")
            for key, one in held.items():
                if type(one) is not allowed[key]:
                    raise ValueError(f"{key} has another type")
    return value


def _held(value: Any, kind: str) -> Iterator[Mapping[str, Any]]:
    """Yield what a kubeconfig says of each of its users, or of another *kind*."""
    for item in _mapping(value).get(f"{kind}s") or ():
        yield _mapping(_mapping(item).get(kind) or {})


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("a part of it is no mapping")  # noqa: TRY004 - a person's mistake in data
    return value
