"""
The containers of a pod, wherever an object keeps its pod's specification.

Kubernetes' own kinds have it in known places. In custom resources it is found by structure:
down from `spec` through `template`, `...Template` and `spec`, the nearest one first. So do
Rollouts, Knative's Services, and OpenKruise's UnitedDeployments and AdvancedCronJobs keep it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.manifests.slots import Container, Path, Slot

_TEMPLATE: Path = ("spec", "template", "spec")
KNOWN: Mapping[str, Path] = {
    "CronJob": ("spec", "jobTemplate", *_TEMPLATE),
    "DaemonSet": _TEMPLATE,
    "Deployment": _TEMPLATE,
    "Job": _TEMPLATE,
    "Pod": ("spec",),
    "PodTemplate": ("template", "spec"),
    "ReplicaSet": _TEMPLATE,
    "ReplicationController": _TEMPLATE,
    "StatefulSet": _TEMPLATE,
}
_DEEPEST = 8
_KNATIVE = "serving.knative.dev/"
_KNATIVE_NAME = "user-container"
"""What Knative calls the one container of a pod if nobody names it."""


def pod_slots(value: Mapping[str, Any]) -> tuple[Slot, ...]:
    """Return the containers of an object, then its init containers."""
    kind, version = value.get("kind"), value.get("apiVersion")
    known = KNOWN.get(kind) if isinstance(kind, str) else None
    default = _KNATIVE_NAME if isinstance(version, str) and version.startswith(_KNATIVE) else None
    for path in [known] if known else _specs(value):
        found = tuple(_slots(_at(value, path), path, default))
        if found:
            return found
    return ()


def _specs(value: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the paths that may lead to a pod's specification, the nearest ones first."""
    level: list[tuple[Path, Any]] = [(("spec",), value.get("spec"))]
    while level:
        yield from (path for path, one in level if isinstance(one, Mapping))
        level = [
            ((*path, key), inner)
            for path, one in level
            if isinstance(one, Mapping) and len(path) < _DEEPEST
            for key, inner in one.items()
            if key in {"spec", "template"} or key.endswith("Template")
        ]


def _slots(spec: Any, path: Path, default: str | None) -> Iterator[Slot]:
    if not isinstance(spec, Mapping):
        return
    for field in ("containers", "initContainers"):
        found = spec.get(field)
        if not isinstance(found, list):
            continue
        alone = default if field == "containers" and len(found) == 1 else None
        for index, one in enumerate(found):
            if not isinstance(one, Mapping):
                continue
            name, image = one.get("name", alone), one.get("image")
            if isinstance(name, str) and isinstance(image, str) and image:
                yield Slot(
                    container=Container(name=name, image=image, init=field == "initContainers"),
                    repository=(*path, field, index, "image"),
                )


def _at(value: Any, path: Path) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
