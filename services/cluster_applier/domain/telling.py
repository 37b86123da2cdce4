"""What is told at the end of a look at a sync."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.cluster_applier.domain.drift import TIMES, Drift
from services.cluster_applier.domain.fields import Owned
from shared.bundle.format import Header
from shared.contract import (
    DriftContested,
    DriftCorrected,
    FieldOwner,
    Message,
    ObjectResult,
    Problem,
    SyncCompleted,
)


def completed(
    header: Header, results: Sequence[ObjectResult], *, unchanged: int, kept: str, held: int
) -> SyncCompleted:
    """
    Return what became of a revision.

    *kept* says why nothing was pruned, if so; *held* is how many objects wait for a person's word.
    """
    return SyncCompleted(
        sync=header.sync,
        target=header.target,
        repository=header.repository,
        revision=header.revision,
        counts=counts(results, unchanged),
        objects=tuple(results),
        problems=tuple(
            Problem(file=one.file, line=one.line, message=f"{one.id}: {one.message}")
            for one in results
            if one.action == "failed"
        ),
        pruned=not kept,
        prune_reason=kept,
        prune_held=held,
    )


def counts(results: Iterable[ObjectResult], unchanged: int) -> Mapping[str, int]:
    """Return how many objects there are by what was done with them."""
    found = {"unchanged": unchanged} if unchanged else {}
    for result in results:
        found[result.action] = found.get(result.action, 0) + 1
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBack:
    """An object that differed, and was put back."""

    name: str
    drift: Drift
    fields: tuple[Owned, ...]
    """Those that were changed or removed, and by whom."""
    contested: tuple[Owned, ...] | None
    """Those of them that are left alone from now on; None where nothing is."""
    at: float
    """When, on the loop's clock."""


def corrected(sync: str, target: str, put: PutBack) -> list[Message]:
    """Return that an object was put back, and whether somebody insists."""

    def what(some: Iterable[Owned]) -> dict[str, Any]:
        fields = tuple(FieldOwner(field=one.field, manager=one.manager) for one in some)
        owners = dict.fromkeys(one.manager for one in fields if one.manager)
        # Whom the fields name is certain; who wrote last is a guess.
        manager = ", ".join(owners) or put.drift.manager
        whose = {"sync": sync, "target": target, "id": put.name, "what": put.drift.what}
        return {**whose, "manager": manager, "fields": fields}

    seconds = put.at - put.drift.seen
    told: list[Message] = [DriftCorrected(**what(put.fields), seconds=seconds)]
    if put.contested is not None:
        told.append(DriftContested(**what(put.contested), times=TIMES))
    return told
