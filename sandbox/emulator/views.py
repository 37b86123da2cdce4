"""The forms in which objects are shown: whole, their metadata alone, or as a table for people."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from sandbox.emulator.kinds import Resource
from sandbox.emulator.store import Object

Form = Literal["whole", "metadata", "table"]
Cell = Callable[[Object], Any]

_META = "meta.k8s.io/v1"


def form_of(accept: str) -> Form:
    """Return the first form that a client asks for."""
    for offer in accept.split(","):
        if "as=PartialObjectMetadata" in offer:
            return "metadata"
        if "as=Table" in offer:
            return "table"
        if "as=" not in offer and "json" in offer:
            return "whole"
    return "whole"


def one(obj: Object, resource: Resource, form: Form) -> Object:
    """Return *obj* in *form*; a status stays as it is."""
    if obj.get("kind") == "Status" or form == "whole":
        return obj
    if form == "table":
        return _table(resource, [obj], obj["metadata"].get("resourceVersion", ""))
    return _metadata(obj)


def many(
    objects: Sequence[Object], resource: Resource, form: Form, metadata: Mapping[str, Any]
) -> Object:
    """Return a list of *objects* in *form*."""
    if form == "table":
        return {**_table(resource, objects, ""), "metadata": metadata}
    kind, version = f"{resource.kind}List", resource.group_version
    if form == "metadata":
        kind, version = "PartialObjectMetadataList", _META
        objects = [_metadata(obj) for obj in objects]
    else:
        # The items of a list of built-in kinds do not say what they are; the list does.
        hidden = () if resource.is_custom else ("kind", "apiVersion")
        objects = [{n: v for n, v in obj.items() if n not in hidden} for obj in objects]
    return {"kind": kind, "apiVersion": version, "metadata": metadata, "items": objects}


def _metadata(obj: Object) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": obj["metadata"]}


def _table(resource: Resource, objects: Sequence[Object], version: str) -> dict[str, Any]:
    columns = {"Name": _name, **_COLUMNS.get(resource.kind, {}), "Age": _age}
    return {
        "kind": "Table",
        "apiVersion": _META,
        "metadata": {"resourceVersion": version},
        "columnDefinitions": [
            {
                "name": name,
                "type": "string",
                "format": "name" if name == "Name" else "",
                "description": name,
                "priority": 0,
            }
            for name in columns
        ],
        "rows": [
            {"cells": [cell(obj) for cell in columns.values()], "object": _metadata(obj)}
            for obj in objects
        ],
    }


def _name(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def _age(obj: Object) -> str:
    born = obj["metadata"].get("creationTimestamp")
    if not born:
        return "<unknown>"
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(born)).total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _at(*steps: str, default: Any = 0) -> Cell:
    def cell(obj: Any) -> Any:
        for step in steps:
            obj = obj.get(step, {}) if isinstance(obj, Mapping) else {}
        return default if obj == {} else obj

    return cell


def _ready(obj: Object) -> str:
    ready = obj.get("status", {}).get("readyReplicas", 0)
    return f"{ready}/{obj.get('spec', {}).get('replicas', 1)}"


def _ports(obj: Object) -> str:
    ports = obj.get("spec", {}).get("ports", ())
    return ",".join(f"{port['port']}/{port.get('protocol', 'TCP')}" for port in ports) or "<none>"


def _size(obj: Object) -> int:
    return len(obj.get("data") or ())


_COLUMNS: Mapping[str, Mapping[str, Cell]] = {
    "Deployment": {
        "Ready": _ready,
        "Up-to-date": _at("status", "updatedReplicas"),
        "Available": _at("status", "availableReplicas"),
    },
    "StatefulSet": {"Ready": _ready},
    "DaemonSet": {
        "Desired": _at("status", "desiredNumberScheduled"),
        "Ready": _at("status", "numberReady"),
    },
    "ReplicaSet": {
        "Desired": _at("spec", "replicas", default=1),
        "Ready": _at("status", "readyReplicas"),
    },
    "Service": {
        "Type": _at("spec", "type", default=""),
        "Cluster-IP": _at("spec", "clusterIP", default="<none>"),
        "External-IP": lambda _: "<none>",
        "Port(s)": _ports,
    },
    "Namespace": {"Status": _at("status", "phase", default="")},
    "ConfigMap": {"Data": _size},
    "Secret": {"Type": _at("type", default=""), "Data": _size},
}
