"""
The containers of a workload, and where in its object their images stand.

Flux v1's kinds, and the ones that it left out: Job, Pod, ReplicaSet, ReplicationController, custom
resources that keep a pod template somewhere, HelmReleases of the Flux Toolkit, and Kustomizations.
Containers come first, then init containers; a container without an image is none.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.manifests.helm import release_slots
from shared.manifests.kustomize import Entry, kustomization_slots
from shared.manifests.pods import pod_slots
from shared.manifests.slots import Container, Slot

_HELM_RELEASES = frozenset({"HelmRelease", "FluxHelmRelease"})
_KUSTOMIZATIONS = frozenset({"Component", "Kustomization"})

__all__ = ["Container", "Entry", "Slot", "containers", "slots"]


def containers(value: Mapping[str, Any]) -> tuple[Container, ...]:
    """Return the containers of an object, as declared; none if it is no workload."""
    return tuple(slot.container for slot in slots(value))


def slots(value: Mapping[str, Any]) -> Sequence[Slot | Entry]:
    """Return the containers of an object with the places of their images."""
    kind = value.get("kind")
    if not isinstance(kind, str):
        return ()
    if kind in _HELM_RELEASES:
        return release_slots(value)
    if kind in _KUSTOMIZATIONS and (found := kustomization_slots(value)):
        return found
    return pod_slots(value)
