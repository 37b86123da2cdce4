"""One plan as several commits, for those who want a commit for each workload or each image."""

from collections.abc import Iterable, Mapping

from services.repo_writer.domain.plan import Plan
from services.repo_writer.domain.state import Spot
from shared.contract import Change, WorkloadResult
from shared.manifests import SetImage

Changes = Mapping[Spot, tuple[Change, ...]]


def parts(plan: Plan, by: str) -> Iterable[Plan]:
    """Return the plans that are *plan* together, one for each commit, in a lasting order."""
    if by == "batch":
        return [plan]
    groups: dict[str, dict[Spot, tuple[Change, ...]]] = {}
    for spot in plan.edits:
        for change in plan.changes[spot]:
            some = groups.setdefault(spot.workload if by == "per-workload" else change.target, {})
            some[spot] = (*some.get(spot, ()), change)
    return [_of(plan, some) for _, some in sorted(groups.items())]


def _of(plan: Plan, changes: Changes) -> Plan:
    by_workload: dict[str, dict[Change, None]] = {}
    for spot, some in changes.items():
        by_workload.setdefault(spot.workload, {}).update(dict.fromkeys(some))
    return Plan(
        edits={
            spot: tuple(
                edit
                for edit in plan.edits[spot]
                if not isinstance(edit, SetImage) or edit.container in {c.container for c in some}
            )
            for spot, some in changes.items()
        },
        result={
            name: WorkloadResult(status="success", changes=tuple(some))
            for name, some in by_workload.items()
        },
        changes=changes,
    )
