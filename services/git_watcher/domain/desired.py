"""
What of a declared object is applied: the body of its server-side apply.

What an exported manifest carries of the cluster it came from is left out: the API server refuses
it, or would for ever. `stringData` becomes `data`: its changes could not be seen otherwise.
"""

import base64
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from shared.bundle.format import LARGEST
from shared.manifests import Declared

MARK = "fluxcd.io/sync-gc-mark"
"""The label by which Flux v1 knew what it had applied; also what our watches select."""

_EXPORTED = frozenset(
    {
        "uid",
        "resourceVersion",
        "managedFields",
        "creationTimestamp",
        "generation",
        "selfLink",
        "deletionTimestamp",
    }
)
_BUILT_IN = frozenset({"", "apps", "batch", "autoscaling", "policy", "extensions"})


def set_name(url: str, branch: str, paths: tuple[str, ...]) -> str:
    """Return Flux v1's name for what a daemon with this configuration applies."""
    return _hashed(url, branch, *paths)


def body(declared: Declared, mark_set: str) -> bytes:
    """
    Return the object as it is applied, as JSON.

    Raises:
        ValueError: no API server would take it; the sentence names the field.
    """
    value = declared.placed() if has_known_scope(declared) else declared.object
    metadata = {key: one for key, one in value["metadata"].items() if key not in _EXPORTED}
    _texts(metadata.get("annotations"), "metadata.annotations")
    labels = _texts(metadata.get("labels"), "metadata.labels")
    mark = "sha256." + _hashed(mark_set, str(declared.workload_id))
    metadata["labels"] = {MARK: mark, **labels}
    wanted = {key: one for key, one in value.items() if key != "status"}
    wanted["metadata"] = metadata
    if declared.id.group == "" and declared.id.kind == "Secret" and "stringData" in value:
        wanted = _with_data(wanted)
    encoded = json.dumps(wanted, ensure_ascii=False, separators=(",", ":")).encode()
    if len(encoded) > LARGEST:
        raise ValueError(f"the {declared.id.kind} has {len(encoded)} bytes, too many for a cluster")
    return encoded


def has_known_scope(declared: Declared) -> bool:
    """Tell whether we know if the kind is namespaced; of others the cluster is asked."""
    group = declared.id.group
    return group in _BUILT_IN or group.endswith(".k8s.io")


def _with_data(secret: dict[str, Any]) -> dict[str, Any]:
    data = _texts(secret.get("data"), "data")
    texts = _texts(secret["stringData"], "stringData")
    encoded = {key: base64.b64encode((one or "").encode()).decode() for key, one in texts.items()}
    rest = {key: value for key, value in secret.items() if key != "stringData"}
    return {**rest, "data": {**data, **encoded}}


def _texts(value: Any, field: str) -> Mapping[str, str | None]:
    """Return a mapping of strings, or say what is wrong with it."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{field} is no mapping")  # noqa: TRY004 - a person's mistake in data
    for key, one in value.items():
        if not isinstance(one, str | None):
            raise ValueError(f"{field}.{key} is no string; quote it")  # noqa: TRY004 - same
    return value


def _hashed(*parts: str) -> str:
    digest = sha256("".join(parts).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
