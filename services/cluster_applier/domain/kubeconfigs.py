"""
What a kubeconfig from a cluster may say.

Whoever may write the Secret must not be able to run programs in our place, or to read our files.
"""

from typing import Any

_ALLOWED = {
    "user": {"token", "client-certificate-data", "client-key-data", "username", "password"},
    "cluster": {
        "server",
        "certificate-authority-data",
        "insecure-skip-tls-verify",
        "tls-server-name",
        "proxy-url",
    },
}


class UnsafeError(ValueError):
    """A kubeconfig that says more than it may; the sentence names the key, never a value."""


def checked(value: Any) -> Any:
    """
    Return *value* if it is a kubeconfig that holds all that it needs.

    Raises:
        UnsafeError: it names files or programs.
        ValueError: it is no kubeconfig.
    """
    if not isinstance(value, dict):
        raise ValueError("it is no mapping")  # noqa: TRY004 - a person's mistake in data
    for kind, allowed in _ALLOWED.items():
        for item in value.get(f"{kind}s") or ():
            unknown = sorted(set(item.get(kind) or {}) - allowed)
            if unknown:
                raise UnsafeError(f"{kind}s may not use {', '.join(unknown)}")
    return value
