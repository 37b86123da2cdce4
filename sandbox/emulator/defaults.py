"""
What the server adds to an object that was left open, and what it leaves out.

Only what shows in a demo or decides about an apply; the real server does much more.
"""

import base64
from collections.abc import Callable, Mapping
from typing import Any
from zlib import crc32

from sandbox.emulator.kinds import Resource
from sandbox.emulator.shapes import FREE, Shape

Fill = Callable[[dict[str, Any]], None]

_WORKLOADS = {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"}


def filled(obj: Mapping[str, Any], resource: Resource) -> dict[str, Any]:
    """Return *obj* with the defaults of its kind."""
    full: dict[str, Any] = _with_shape_defaults(obj, resource.shape)
    if not resource.is_custom:
        full = _without_empties(full, resource.shape)
    if (fill := _FILL.get(resource.kind)) and not resource.is_custom:
        fill(full)
    if resource.kind in _WORKLOADS and not resource.is_custom:
        _fill_pod(full.get("spec", {}).get("template", {}).setdefault("spec", {}))
    return full


def allocated(obj: Mapping[str, Any], resource: Resource) -> dict[str, Any]:
    """Return *obj* with what the server chooses for it, which belongs to no writer."""
    full = {**obj}
    if resource.has_status and not resource.is_custom:
        full["status"] = dict(full.get("status", {}))
    if (allocate := _ALLOCATE.get(resource.kind)) and not resource.is_custom:
        full["spec"] = dict(full.get("spec", {}))
        allocate(full)
    return full


def known(value: Any, shape: Shape, at: str = "") -> tuple[Any, list[str]]:
    """Return *value* without fields that *shape* does not know, and where those were."""
    if isinstance(value, list):
        pairs = [known(item, shape.element or FREE, f"{at}[{n}]") for n, item in enumerate(value)]
        return [item for item, _ in pairs], [path for _, paths in pairs for path in paths]
    if not isinstance(value, dict) or shape.kind in ("scalar", "free", "list"):
        return value, []
    kept: dict[str, Any] = {}
    unknown: list[str] = []
    for name, inner in value.items():
        here = f"{at}.{name}" if at else name
        if (child := shape.child(name)) is None:
            unknown.append(here)
            continue
        kept[name], more = known(inner, child, here)
        unknown += more
    return kept, unknown


def without_nulls(value: Any) -> Any:
    """Return *value* without its nulls, which mean the same as nothing."""
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def _without_empties(value: Any, shape: Shape) -> Any:
    """Leave out empty maps and lists, as Go does; an empty struct says something."""
    if isinstance(value, list):
        return [_without_empties(item, shape.element or FREE) for item in value]
    if not isinstance(value, dict):
        return value
    kept: dict[str, Any] = {}
    for name, inner in value.items():
        child = shape.child(name) or FREE
        if inner or child.kind not in ("map", "list"):
            kept[name] = _without_empties(inner, child)
    return kept


def _with_shape_defaults(value: Any, shape: Shape) -> Any:
    if isinstance(value, list):
        return [_with_shape_defaults(item, shape.element or FREE) for item in value]
    if not isinstance(value, dict):
        return value
    full = {n: _with_shape_defaults(inner, shape.child(n) or FREE) for n, inner in value.items()}
    for name, inner in shape.fields.items():
        # Defaults that are "nothing" in Go are noise of the description.
        if inner.default not in (None, "", 0, False):
            full.setdefault(name, inner.default)
    return full


def _fill_pod(spec: dict[str, Any]) -> None:
    for container in (*spec.get("containers", ()), *spec.get("initContainers", ())):
        tag = container.get("image", "").rpartition("/")[2]
        newest = "@" not in tag and (":" not in tag or tag.endswith(":latest"))
        container.setdefault("imagePullPolicy", "Always" if newest else "IfNotPresent")
        container.setdefault("resources", {})
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")


def _fill_deployment(obj: dict[str, Any]) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)


def _fill_stateful_set(obj: dict[str, Any]) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("podManagementPolicy", "OrderedReady")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("updateStrategy", {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})


def _fill_daemon_set(obj: dict[str, Any]) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("revisionHistoryLimit", 10)
    rolling = {"maxUnavailable": 1, "maxSurge": 0}
    spec.setdefault("updateStrategy", {"type": "RollingUpdate", "rollingUpdate": rolling})


def _fill_service(obj: dict[str, Any]) -> None:
    spec = obj.setdefault("spec", {})
    for port in spec.get("ports", ()):
        port.setdefault("targetPort", port.get("port"))
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    spec.setdefault("internalTrafficPolicy", "Cluster")


def _allocate_address(obj: dict[str, Any]) -> None:
    spec = obj["spec"]
    if spec["type"] != "ExternalName":
        unique = crc32(f"{obj['metadata'].get('namespace')}/{obj['metadata']['name']}".encode())
        address = spec.setdefault("clusterIP", f"10.96.{unique % 255}.{unique // 255 % 254 + 1}")
        spec.setdefault("clusterIPs", [address])
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
    obj["status"] = obj.get("status") or {"loadBalancer": {}}


def _fill_secret(obj: dict[str, Any]) -> None:
    obj.setdefault("type", "Opaque")
    for name, value in obj.pop("stringData", {}).items():
        obj.setdefault("data", {})[name] = base64.b64encode(str(value).encode()).decode()


def _fill_namespace(obj: dict[str, Any]) -> None:
    metadata = obj["metadata"]
    metadata["labels"] = {
        **(metadata.get("labels") or {}),
        "kubernetes.io/metadata.name": metadata["name"],
    }


def _allocate_phase(obj: dict[str, Any]) -> None:
    obj.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    obj.setdefault("status", {}).setdefault("phase", "Active")


def _allocate_names(obj: dict[str, Any]) -> None:
    stored = [version["name"] for version in obj["spec"]["versions"] if version.get("storage")]
    nothing = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}}
    obj["status"] = obj["status"] or {**nothing, "storedVersions": stored}


_FILL: Mapping[str, Fill] = {
    "Deployment": _fill_deployment,
    "StatefulSet": _fill_stateful_set,
    "DaemonSet": _fill_daemon_set,
    "Service": _fill_service,
    "Secret": _fill_secret,
    "Namespace": _fill_namespace,
}
_ALLOCATE: Mapping[str, Fill] = {
    "CustomResourceDefinition": _allocate_names,
    "Namespace": _allocate_phase,
    "Service": _allocate_address,
}
