"""Whether an object that is declared no more may be deleted, as the cluster shows it now."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.cluster_applier.domain.inventory import Applied
from services.cluster_applier.domain.ownership import ours
from shared.manifests import ObjectId, Policies
from shared.manifests.marks import MARK, mark

WHOLE, WHOLE_VALUE = "fluxcd.io/prune", "with-contents"
"""The annotation of a namespace or definition that goes with what others have in it."""


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
    whole: bool = False
    """With all that is in it, whoever made that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What tells that an object is ours, beside the inventory."""

    mark_set: str = ""
    """What our marks are made with; empty where that is not known."""
    confirmed: bool = False
    """A person wants it, also of what is known by its mark alone."""


def judged(
    named: ObjectId, metadata: Mapping[str, Any] | None, applied: Applied, proof: Proof
) -> Judgement:
    """Return what becomes of an object whose metadata is that; None where it is gone."""
    if metadata is None:
        return Judgement(fate=Fate.FORGET)
    if why := _reason_to_forget(named, metadata, applied, proof):
        return Judgement(fate=Fate.FORGET, why=why)
    if why := _reason_to_keep(metadata, applied, proof):
        return Judgement(fate=Fate.KEEP, why=why)
    return Judgement(
        fate=Fate.DELETE,
        uid=str(metadata.get("uid", "")),
        version=str(metadata.get("resourceVersion", "")),
        whole=(metadata.get("annotations") or {}).get(WHOLE) == WHOLE_VALUE,
    )


def _reason_to_forget(
    named: ObjectId, metadata: Mapping[str, Any], applied: Applied, proof: Proof
) -> str:
    """Return why it is not ours."""
    fields, found = ours(metadata), (metadata.get("labels") or {}).get(MARK)
    is_marked = bool(proof.mark_set) and found == mark(proof.mark_set, named.workload)
    reasons = (
        (applied.uid and str(metadata.get("uid", "")) != applied.uid, "somebody made it anew"),
        (not applied.uid and not fields, "it was never applied"),
        (not fields and not is_marked, "nothing of it is ours any more"),
        # A label that git itself declares stays as it was applied.
        (
            bool(proof.mark_set and found and not is_marked) and fields != applied.fields,
            "it carries the mark of another sync or another Flux",
        ),
    )
    return next((f"{why}, so it is not ours" for holds, why in reasons if holds), "")


def _reason_to_keep(metadata: Mapping[str, Any], applied: Applied, proof: Proof) -> str:
    policies = Policies.of({"metadata": metadata})
    reasons = (
        (policies.unapplied or policies.sync_only, "it is annotated in the cluster to be kept"),
        (metadata.get("ownerReferences"), "it has an owner in the cluster, and goes with it"),
        (
            applied.found and not proof.confirmed,
            "its mark alone says that it is ours; `fluxctl sync --allow-prune` deletes it",
        ),
    )
    return next((why for holds, why in reasons if holds), "")


def is_flux_own(named: ObjectId, namespace: str) -> bool:
    """Tell whether it is an inventory, or the *namespace* of inventories."""
    if named.group:
        return False
    if named.kind == "Namespace":
        return named.name == namespace
    is_map = named.kind == "ConfigMap" and named.namespace == namespace
    return is_map and named.name.startswith("flux-inventory-")


def held(metadata: Mapping[str, Any]) -> str:
    """Return why an object that was deleted is there still, if so."""
    finalizers = metadata.get("finalizers") or ()
    return f"it ends when its finalizers are done: {', '.join(finalizers)}" if finalizers else ""


_BY_ITSELF = {(("", "ConfigMap"), "kube-root-ca.crt"), (("", "ServiceAccount"), "default")}
_PASSING = frozenset(
    {("", "Event"), ("events.k8s.io", "Event"), ("", "Endpoints"), ("coordination.k8s.io", "Lease")}
)
_ACCOUNT = "kubernetes.io/service-account.name"
"""On the Secret of a service account, with which it goes; until 1.24 each account had one."""


def is_foreign(kind: tuple[str, str], metadata: Mapping[str, Any]) -> bool:
    """Tell whether what is in a namespace that is to go belongs to somebody, by group and kind."""
    name = str(metadata.get("name", ""))
    return not (
        kind in _PASSING
        or (kind, name) in _BY_ITSELF
        or (kind == ("", "Secret") and _ACCOUNT in (metadata.get("annotations") or {}))
        or metadata.get("ownerReferences")
        or metadata.get("deletionTimestamp")
    )
