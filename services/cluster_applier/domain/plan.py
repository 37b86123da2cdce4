"""What to apply and what to delete: what the bundle declares against what was applied."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from services.cluster_applier.domain.inventory import Applied, Inventory
from services.cluster_applier.domain.stages import stage
from shared.bundle.chunks import Entry
from shared.manifests import ObjectId


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An object as declared, with the namespace that it has in this cluster."""

    id: ObjectId
    entry: Entry
    path: str
    """Where it is on the API server."""

    @property
    def secret(self) -> bool:
        """Whether its values are."""
        return self.entry.encrypted or self.id.is_secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What differs."""

    apply: tuple[Wanted, ...]
    unchanged: int


def plan(wanted: Iterable[Wanted], inventory: Inventory, drifted: Collection[str]) -> Plan:
    """Return what must be applied: new, changed, drifted, or not certain to have been applied."""
    apply, unchanged = [], 0
    for one in wanted:
        name = str(one.id)
        applied = inventory.objects.get(name)
        same = applied is not None and applied.digest == one.entry.digest
        if same and name not in drifted:
            unchanged += 1
        else:
            apply.append(one)
    return Plan(apply=tuple(apply), unchanged=unchanged)


def obsolete(
    inventory: Inventory, declared: Collection[str], skipped: Collection[str]
) -> list[tuple[str, Applied]]:
    """
    Return what was applied and is declared no more, in the order of deletion.

    A namespace or a definition that was there before us stays: others may live in it.
    """
    left: Mapping[str, Applied] = {
        name: one
        for name, one in inventory.objects.items()
        if name not in declared and name not in skipped
    }
    return sorted(
        ((name, one) for name, one in left.items() if one.created or not _holds_others(name)),
        key=lambda found: (-stage(ObjectId.parse(found[0])), found[0]),
    )


def renamed(
    gone: Iterable[tuple[str, Applied]], objects: Mapping[str, Applied], declared: Collection[str]
) -> Mapping[str, str]:
    """
    Return which of what is *gone* is declared all the same, by another id, and by which.

    A kind may be served by two groups while it moves from one to the other.
    """
    living = {one.uid: name for name, one in objects.items() if one.uid and name in declared}
    return {name: living[one.uid] for name, one in gone if one.uid in living}


def reason_to_keep(*, prune: bool, problems: int, failed: bool, certain: bool) -> str:
    """Return why nothing may be deleted now, in half a sentence; empty where it may."""
    reasons = (
        (not prune, "prune is off for this sync"),
        (problems > 0, f"{problems} parts of the desired state could not be read"),
        (failed, "not everything could be applied"),
        (not certain, "it is not certain that this revision is newer than the one before"),
    )
    return next((reason for holds, reason in reasons if holds), "")


def _holds_others(name: str) -> bool:
    return ObjectId.parse(name).kind in {"Namespace", "CustomResourceDefinition"}
