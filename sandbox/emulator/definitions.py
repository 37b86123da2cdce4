"""Begins to serve the kind that a CustomResourceDefinition defines."""

import asyncio
from typing import Any

from sandbox.emulator.kinds import Kinds
from sandbox.emulator.ownership import now
from sandbox.emulator.store import Object, Store
from sandbox.emulator.writing import Writer

_DELAY = 0.02  # seconds; the real server needs a little, too, and appliers must live with it
_CONDITIONS = (
    ("NamesAccepted", "NoConflicts", "no conflicts found"),
    ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
)


async def serve(definition: Object, store: Store, kinds: Kinds, writer: Writer) -> None:
    """Serve what *definition* defines, then say so in its status."""
    await asyncio.sleep(_DELAY)
    resource = kinds.built_in("apiextensions.k8s.io/v1", "customresourcedefinitions")
    live = store.get(resource, "", definition["metadata"]["name"])
    if live is None or live["metadata"]["uid"] != definition["metadata"]["uid"]:
        return
    kinds.remove_custom(live["spec"]["group"], live["spec"]["names"]["plural"])
    for kind in kinds.custom(live, since=store.version):
        kinds.add(kind)
    writer.save_status(resource, live, {**live, "status": _status(live)})


def _status(live: Object) -> dict[str, Any]:
    spec, before = live["spec"], live.get("status", {})
    said = [
        {
            "type": kind,
            "status": "True",
            "lastTransitionTime": now(),
            "reason": reason,
            "message": message,
        }
        for kind, reason, message in _CONDITIONS
    ]
    stored = [version["name"] for version in spec["versions"] if version.get("storage")]
    names = spec["names"]
    more = {"listKind": f"{names['kind']}List", "singular": names["kind"].lower()}
    return {
        "conditions": before.get("conditions") or said,
        "acceptedNames": {**more, **names},
        "storedVersions": stored,
    }
