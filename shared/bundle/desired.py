"""
What of a declared object is applied: the body of its server-side apply.

What an exported manifest carries of the cluster it came from is left out: the API server refuses
it, or would for ever. `stringData` becomes `data`: its changes could not be seen otherwise.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.bundle.packing import LARGEST
from shared.manifests import Declared
from shared.manifests.marks import CHECKSUM, MARK, checksum, mark

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """An object as JSON."""

    body: bytes
    """As it is applied."""
    compared: bytes
    """What its digest is of: the same without the checksum, which changes nothing by itself."""


def content(declared: Declared, mark_set: str) -> Content:
    """
    Return what is applied of an object.

    Raises:
        ValueError: no API server would take it; the sentence names the field.
    """
    value = declared.placed() if has_known_scope(declared) else declared.object
    metadata = {key: one for key, one in value["metadata"].items() if key not in _EXPORTED}
    annotations = _texts(metadata.get("annotations"), "metadata.annotations")
    labels = _texts(metadata.get("labels"), "metadata.labels")
    metadata["labels"] = {MARK: mark(mark_set, declared.workload_id), **labels}
    wanted = {key: one for key, one in value.items() if key != "status"}
    wanted["metadata"] = metadata
    if declared.id.is_secret and "stringData" in value:
        wanted = _with_data(wanted)
    compared = _encoded(wanted)
    if len(compared) > LARGEST:
        size = len(compared)
        raise ValueError(f"the {declared.id.kind} has {size} bytes, too many for a cluster")
    metadata["annotations"] = {CHECKSUM: checksum(declared.object), **annotations}
    return Content(body=_encoded(wanted), compared=compared)


def _encoded(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


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
