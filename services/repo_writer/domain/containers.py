"""A release of exactly the containers that a person ticked (Flux v1's type `containers`)."""

from collections.abc import Iterable

from services.repo_writer.domain.newest import UP_TO_DATE
from services.repo_writer.domain.plan import Plan, declared_twice, set_images
from services.repo_writer.domain.release import NOT_INCLUDED, barred, not_found, overridden
from services.repo_writer.domain.state import State, Workload
from shared.contract import Change, ContainersSpec, WorkloadResult
from shared.runtime.errors import PermanentError


def plan_containers(spec: ContainersSpec, state: State) -> Plan:
    """
    Return what *spec* changes.

    Raises:
        PermanentError: nothing is left to change; or a container is missing, or is not as it was
            when it was ticked, and that was not allowed.
    """
    edits, result = {}, dict.fromkeys(state.workloads, NOT_INCLUDED)
    for name, wanted in spec.changes.items():
        workload = state.find(name)
        if workload is None:
            result[name] = not_found(state)
            continue
        key = str(workload.id)
        verdict = barred(workload, forced=spec.force) or declared_twice(key, state)
        result[key] = verdict or _look(spec, workload, wanted)
        if result[key].changes:
            edits[workload.spot] = set_images(workload, result[key].changes)
    if not edits:
        raise PermanentError("no changes found")
    return Plan(edits=edits, result=result, forced=overridden(edits, state))


def _look(spec: ContainersSpec, workload: Workload, wanted: Iterable[Change]) -> WorkloadResult:
    missing, differing, changes = [], [], []
    for change in wanted:
        declared = workload.containers.get(change.container)
        if declared is None:
            missing.append(change.container)
        elif change.current and change.current != declared:
            differing.append(change.container)
        elif declared != change.target:
            changes.append(change.model_copy(update={"current": declared}))
    error = _sentence(missing, differing)
    # A container that is not there was misspelt, or is gone: nobody meant to skip it.
    if missing or (differing and not spec.skip_mismatches):
        raise PermanentError(f"cannot satisfy specs: {workload.id}: {error}")
    if not changes:
        return UP_TO_DATE if not error else WorkloadResult(status="skipped", error=error)
    return WorkloadResult(status="success", error=error, changes=tuple(changes))


def _sentence(missing: list[str], differing: list[str]) -> str:
    if missing:
        return f"container(s) not found: {', '.join(missing)}"
    return f"container(s) tag mismatch: {', '.join(differing)}" if differing else ""
