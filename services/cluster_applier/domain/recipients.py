"""For whom a file was encrypted, as SOPS notes it in the file itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.manifests.documents import YamlError, documents
from shared.manifests.load import decode

_NAMES = {
    "age": "recipient",
    "pgp": "fp",
    "kms": "arn",
    "gcp_kms": "resource_id",
    "azure_kv": "name",
    "hc_vault": "key_name",
    "hckms": "key_id",
}
_OURS = ("age", "pgp")
TOLD = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipients:
    """The public names of keys."""

    names: tuple[str, ...]
    asked: bool
    """Whether a service is among them that is asked, and may not answer for a while."""

    def __str__(self) -> str:
        more = f" and {len(self.names) - TOLD} more" if len(self.names) > TOLD else ""
        return f"{', '.join(self.names[:TOLD]) or 'nobody'}{more}"


def recipients(data: bytes) -> Recipients:
    """Return to whom a file is encrypted."""
    try:
        found = [one for document in documents(decode(data)) for one in _keys(document.value)]
    except YamlError:
        found = []
    names = tuple(dict.fromkeys(name for _, name in found))
    return Recipients(names=names, asked=any(kind not in _OURS for kind, _ in found))


def _keys(document: Any) -> Iterator[tuple[str, str]]:
    about = document.get("sops") if isinstance(document, Mapping) else None
    if not isinstance(about, Mapping):
        return
    groups = about.get("key_groups")
    for group in (about, *(groups if isinstance(groups, list) else ())):
        for kind, field in _NAMES.items():
            listed = group.get(kind) if isinstance(group, Mapping) else None
            for key in listed if isinstance(listed, list) else ():
                if isinstance(key, Mapping) and isinstance(key.get(field), str):
                    yield kind, key[field]
