"""
Files that SOPS has encrypted: recognised by what they hold, and what of them stays readable.

A file's MAC covers all of its documents, so nobody edits it or takes it apart. By default every
value is encrypted, kinds and names too; with rules in `.sops.yaml` often `data` alone.
"""

from collections.abc import Iterable, Mapping
from typing import Any

_CIPHERTEXT = "ENC["
REFUSED = "it is encrypted by sops, and any other edit would break its MAC; change it with sops"


def is_encrypted(documents: Iterable[Any]) -> bool:
    """Tell whether SOPS has encrypted the file of these documents."""
    return any(_is_sealed(one) for one in documents)


def is_named(value: Any) -> bool:
    """Tell whether it can be read what an object of an encrypted file is called."""
    if not isinstance(value, Mapping):
        return False
    metadata = value.get("metadata")
    names = metadata if isinstance(metadata, Mapping) else {}
    fields = (value.get("apiVersion"), value.get("kind"), names.get("name"), names.get("namespace"))
    return not any(map(_is_ciphertext, fields))


def readable(value: Any) -> Any:
    """Return a value of an encrypted file without what is encrypted."""
    if isinstance(value, dict):
        return {key: readable(one) for key, one in value.items() if not _is_ciphertext(one)}
    if isinstance(value, list):
        return [readable(one) for one in value if not _is_ciphertext(one)]
    return value


def _is_sealed(document: Any) -> bool:
    about = document.get("sops") if isinstance(document, Mapping) else None
    return isinstance(about, Mapping) and "mac" in about


def _is_ciphertext(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(_CIPHERTEXT)
