"""What is told at the end of a look at a sync."""

from collections.abc import Iterable, Mapping, Sequence

from services.cluster_applier.domain.drift import TIMES, Drift
from shared.bundle.format import Header
from shared.contract import (
    DriftContested,
    DriftCorrected,
    Message,
    ObjectResult,
    Problem,
    SyncCompleted,
)


def completed(
    header: Header, results: Sequence[ObjectResult], *, unchanged: int, kept: str
) -> SyncCompleted:
    """Return what became of a revision; *kept* says why nothing was pruned, if so."""
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
    )


def counts(results: Iterable[ObjectResult], unchanged: int) -> Mapping[str, int]:
    """Return how many objects there are by what was done with them."""
    found = {"unchanged": unchanged} if unchanged else {}
    for result in results:
        found[result.action] = found.get(result.action, 0) + 1
    return found


def corrected(
    sync: str, target: str, name: str, drift: Drift, *, contested: bool, now: float
) -> list[Message]:
    """Return that an object was put back, and whether somebody insists."""
    told: list[Message] = [
        DriftCorrected(
            sync=sync,
            target=target,
            id=name,
            what=drift.what,
            manager=drift.manager,
            seconds=now - drift.seen,
        )
    ]
    if contested:
        told.append(
            DriftContested(
                sync=sync, target=target, id=name, manager=drift.manager, times=TIMES + 1
            )
        )
    return told
