"""Whether an object that is declared no more may be deleted, as the cluster shows it now."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.cluster_applier.domain.inventory import Applied
from services.cluster_applier.domain.ownership import ours
from shared.manifests import ObjectId, Policies


class Fate(StrEnum):
    """What becomes of it."""

    DELETE = "delete"
    FORGET = "forget"
    """It is not ours, or not there: it leaves the inventory."""
    KEEP = "keep"
    """It stays, and stays in the inventory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What becomes of an object, and why where it is not deleted."""

    fate: Fate
    why: str = ""
    uid: str = ""
    version: str = ""
    """The one that may be deleted."""


def judged(metadata: Mapping[str, Any] | None, applied: Applied) -> Judgement:
    """Return what becomes of an object whose metadata is that; None where it is gone."""
    if metadata is None:
        return Judgement(fate=Fate.FORGET)
    uid = str(metadata.get("uid", ""))
    if applied.uid and uid != applied.uid:
        return Judgement(fate=Fate.FORGET, why="somebody made it anew, so it is not ours")
    if not applied.uid and not ours(metadata):
        return Judgement(fate=Fate.FORGET, why="it was never applied, so it is not ours")
    policies = Policies.of({"metadata": metadata})
    if policies.unapplied or policies.sync_only:
        return Judgement(fate=Fate.KEEP, why="it is annotated in the cluster to be kept")
    if metadata.get("ownerReferences"):
        return Judgement(fate=Fate.KEEP, why="it has an owner in the cluster, and goes with it")
    return Judgement(fate=Fate.DELETE, uid=uid, version=str(metadata.get("resourceVersion", "")))


def is_flux_own(named: ObjectId, namespace: str) -> bool:
    """Tell whether it is an inventory, or the *namespace* of inventories."""
    if named.group:
        return False
    if named.kind == "Namespace":
        return named.name == namespace
    is_map = named.kind == "ConfigMap" and named.namespace == namespace
    return is_map and named.name.startswith("flux-inventory-")


_BY_ITSELF = {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}
_PASSING = frozenset({"Event", "Endpoints", "EndpointSlice", "Lease", "ControllerRevision"})


def is_foreign(kind: str, metadata: Mapping[str, Any]) -> bool:
    """Tell whether what is in a namespace that is to go belongs to somebody."""
    name = str(metadata.get("name", ""))
    return not (
        kind in _PASSING
        or (kind, name) in _BY_ITSELF
        or metadata.get("ownerReferences")
        or metadata.get("deletionTimestamp")
    )
