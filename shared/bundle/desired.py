"""
What of a declared object is applied: the body of its server-side apply.

What an exported manifest carries of the cluster it came from is left out: the API server refuses
it, or would for ever. `stringData` becomes `data`: its changes could not be seen otherwise.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

from shared.bundle.packing import LARGEST
from shared.manifests import Declared
from shared.manifests.marks import MARK, mark

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
    metadata["labels"] = {MARK: mark(mark_set, declared.workload_id), **labels}
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
