"""
The containers of a workload, and where in its object their images stand.

Flux v1's kinds, and the ones that it left out: Job, Pod, ReplicaSet, ReplicationController, and
custom resources that have a pod template where a Deployment has it (an Argo Rollout, a Knative
Service). Containers come first, then init containers; a container without an image is none.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.manifests.helm import release_slots
from shared.manifests.slots import Container, Path, Slot

_POD_TEMPLATE: Path = ("spec", "template", "spec")
_POD_SPEC: Mapping[str, Path] = {
    "CronJob": ("spec", "jobTemplate", *_POD_TEMPLATE),
    "Pod": ("spec",),
}
_HELM_RELEASES = frozenset({"HelmRelease", "FluxHelmRelease"})

__all__ = ["Container", "Slot", "containers", "slots"]


def containers(value: Mapping[str, Any]) -> tuple[Container, ...]:
    """Return the containers of an object, as declared; none if it is no workload."""
    return tuple(slot.container for slot in slots(value))


def slots(value: Mapping[str, Any]) -> tuple[Slot, ...]:
    """Return the containers of an object with the places of their images."""
    kind = value.get("kind")
    if kind in _HELM_RELEASES:
        return release_slots(value)
    path = _POD_SPEC.get(kind, _POD_TEMPLATE) if isinstance(kind, str) else None
    return tuple(_pod_slots(value, path)) if path else ()


def _pod_slots(value: Mapping[str, Any], path: Path) -> Iterator[Slot]:
    spec: Any = value
    for key in path:
        spec = spec.get(key) if isinstance(spec, Mapping) else None
    if not isinstance(spec, Mapping):
        return
    for field in ("containers", "initContainers"):
        found = spec.get(field)
        for index, one in enumerate(found if isinstance(found, list) else ()):
            if not isinstance(one, Mapping):
                continue
            name, image = one.get("name"), one.get("image")
            if isinstance(name, str) and isinstance(image, str) and image:
                yield Slot(
                    container=Container(name=name, image=image, init=field == "initContainers"),
                    repository=(*path, field, index, "image"),
                )
