"""
Going back: which updates people have undone, and what an order to undo one changes.

Pure. A tag that was gone back from is held (see `shared.manifests.holds`); what our commits tell
of themselves says which tags were written.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from services.repo_writer.domain.plan import Edit, Plan, declared_twice, set_images
from services.repo_writer.domain.release import barred, not_found
from services.repo_writer.domain.state import Spot, State, Workload
from services.repo_writer.domain.trailers import Told
from shared.contract import Cause, Change, RollbackSpec, WorkloadResult
from shared.images import ImageRef, InvalidReferenceError
from shared.manifests import Annotate
from shared.manifests.holds import HELD, Hold, holds, spelt

NOTHING = WorkloadResult(status="skipped", error="Flux has written nothing that could be undone")

Past = Sequence[tuple[str, Told]]
"""Revisions and what their commits tell, the newest first."""


def writer_of(workload: str, container: str, image: str, past: Past) -> str:
    """
    Return the revision that wrote *image*; empty if none did.

    Also if a hold of that tag is younger: whoever took its annotation away wants the tag.
    """
    for revision, told in past:
        if (container, tag_of(image)) in told.held.get(workload, ()):
            return ""
        result = told.result.get(workload)
        for change in result.changes if result else ():
            if (change.container, change.target) == (container, image):
                return revision
    return ""


def tag_of(image: str) -> str:
    """Return the tag of *image*; empty where it has none."""
    try:
        return ImageRef.parse(image).tag or ""
    except InvalidReferenceError:
        return ""


def plan_holds(reverted: Iterable[tuple[Workload, str, Hold]]) -> Plan:
    """Return what holds tags of containers that somebody went back from."""
    found: dict[Spot, tuple[Workload, dict[str, Hold]]] = {}
    for workload, container, hold in reverted:
        some = found.setdefault(workload.spot, (workload, holds(workload.policies)))[1]
        some[container] = hold
    return Plan(
        edits={spot: (_annotate(one, some),) for spot, (one, some) in found.items()},
        result={spot.workload: WorkloadResult(status="success") for spot in found},
        held={spot.workload: _pairs(some) for spot, (_, some) in found.items()},
    )


def plan_rollback(spec: RollbackSpec, cause: Cause, state: State, past: Past) -> Plan:
    """Return what undoes the newest update of each workload that is still there."""
    edits: dict[Spot, tuple[Edit, ...]] = {}
    result: dict[str, WorkloadResult] = {}
    held: dict[str, tuple[tuple[str, str], ...]] = {}
    reason = f"rolled back by {cause.user}" if cause.user.strip() else "rolled back"
    for name in spec.workloads:
        workload = state.find(name)
        if workload is None:
            result[name] = not_found(state)
            continue
        key = str(workload.id)
        changes = _undone(workload, past)
        result[key] = barred(workload, forced=False) or declared_twice(key, state) or NOTHING
        if result[key] is NOTHING and changes:
            result[key] = WorkloadResult(status="success", changes=changes)
            new = {one.container: Hold(tag=tag_of(one.current), reason=reason) for one in changes}
            some = {**holds(workload.policies), **new}
            edits[workload.spot] = (*set_images(workload, changes), _annotate(workload, some))
            held[key] = _pairs(new)
    return Plan(edits=edits, result=result, held=held)


def lifted(plan: Plan, states: Collection[State]) -> Plan:
    """Return *plan*, made from *states*, with the holds ended of all containers that it changes."""
    edits = {
        spot: (*some, *_lifting(_at(spot, states), plan.result[spot.workload].changes))
        for spot, some in plan.edits.items()
    }
    return plan.with_edits(edits)


def _at(spot: Spot, states: Collection[State]) -> Workload:
    # By what is changed, not by what there is: of 10,000 workloads that alone takes 30 ms.
    found = (state.workloads.get(spot.workload) for state in states)
    return next(one for one in found if one and one.spot == spot)


def _lifting(workload: Workload, changes: Iterable[Change]) -> Iterable[Edit]:
    before = holds(workload.policies)
    changed = {one.container for one in changes}
    after = {name: one for name, one in before.items() if name not in changed}
    return (_annotate(workload, after),) if after != before else ()


def _undone(workload: Workload, past: Past) -> tuple[Change, ...]:
    for _, told in past:
        if str(workload.id) in told.held:  # itself an undoing
            continue
        result = told.result.get(str(workload.id))
        changes = tuple(
            Change(container=one.container, current=one.target, target=one.current)
            for one in (result.changes if result else ())
            if one.target == workload.containers.get(one.container)
            and tag_of(one.target)
            and one.current != one.target
        )
        if changes:
            return changes
    return ()


def _annotate(workload: Workload, found: Mapping[str, Hold]) -> Annotate:
    return Annotate(workload=workload.id, changes={HELD: spelt(found) or None})


def _pairs(found: Mapping[str, Hold]) -> tuple[tuple[str, str], ...]:
    return tuple((container, one.tag) for container, one in sorted(found.items()))
