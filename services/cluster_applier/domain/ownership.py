"""
How drift is recognised without reading objects: by the fields that the API server says are ours.

When somebody else sets a field of ours, or removes it, our entry in managedFields changes; status
and other people's fields leave it alone.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

MANAGER = "flux"


def is_ours(entry: Mapping[str, Any]) -> bool:
    """Tell whether an entry of managedFields is what we applied."""
    return (
        entry.get("manager") == MANAGER
        and entry.get("operation") == "Apply"
        and not entry.get("subresource")
    )


def ours(metadata: Mapping[str, Any]) -> str:
    """
    Return the fingerprint of the fields that are ours, and of when we set them; empty for none.

    The time tells a write of ours that nobody remembers: a process died before it noted it.
    """
    for entry in metadata.get("managedFields") or ():
        if is_ours(entry):
            text = json.dumps([entry.get("fieldsV1"), entry.get("time")], sort_keys=True)
            return sha256(text.encode()).hexdigest()[:16]
    return ""


def wrote_last(metadata: Mapping[str, Any]) -> bool:
    """Tell whether we changed the object after everybody else, by the times that are told."""
    mine, others = "", ""
    for entry in metadata.get("managedFields") or ():
        time = str(entry.get("time", ""))
        if is_ours(entry):
            mine = max(mine, time)
        elif not entry.get("subresource"):
            others = max(others, time)
    return mine > others  # of the same second it can't be told


def last_manager(metadata: Mapping[str, Any]) -> str:
    """Return who changed the object last beside us, as far as it is told."""
    others = [
        entry
        for entry in metadata.get("managedFields") or ()
        if entry.get("manager") != MANAGER and not entry.get("subresource")
    ]
    latest: Mapping[str, Any] = max(
        others, key=lambda entry: str(entry.get("time", "")), default={}
    )
    return str(latest.get("manager", ""))
