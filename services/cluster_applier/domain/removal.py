"""Whether a sync that flux.yaml does not name is to be removed, by what its inventory says."""

from collections.abc import Collection

from services.cluster_applier.domain.inventory import Inventory
from shared.manifests import ObjectId


def is_allowed(named: ObjectId, namespaces: Collection[str]) -> bool:
    """Tell whether an object is in *namespaces*, if there are any; cluster-scoped ones are."""
    is_namespace = named.kind == "Namespace" and not named.group
    namespace = named.name if is_namespace else named.namespace
    return not namespaces or not namespace or namespace in namespaces


def reason_to_leave(inventory: Inventory, target: str, generation: int) -> str:
    """
    Return why everything stays, in half a sentence; empty where it is to go.

    *generation*: of the `flux.yaml` that does not name the sync; 0 where it is not numbered. A time
    of change does not do: a copy of an older file may have a later one.
    """
    removal = inventory.removal
    if removal is None:
        return "prune_on_removal was off"
    newest = max(inventory.generation, removal.generation)
    reasons = (
        (removal.target != target, f"it was applied as a sync of the target {removal.target}"),
        (not generation, "this flux.yaml has no generation, so it is not known to be newer"),
        (
            generation <= newest,
            f"generation {generation} of flux.yaml is not newer than {newest}, which named it",
        ),
        (bool(inventory.suspended), f"it is suspended ({inventory.suspended})"),
    )
    return next((reason for holds, reason in reasons if holds), "")
