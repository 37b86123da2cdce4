"""A release of exactly the containers that a person ticked (Flux v1's type `containers`)."""

from collections.abc import Iterable

from services.repo_writer.domain.plan import Plan, set_images
from services.repo_writer.domain.release import LOCKED, NOT_FOUND
from services.repo_writer.domain.state import State, Workload
from shared.contract import Change, ContainersSpec, WorkloadResult
from shared.runtime.errors import PermanentError


def plan_containers(spec: ContainersSpec, state: State) -> Plan:
    """
    Return what *spec* changes.

    Raises:
        PermanentError: a container is not as it was when it was ticked, and that was not allowed.
    """
    edits, result = {}, {}
    for name, wanted in spec.changes.items():
        workload = state.get(name)
        if workload is None:
            result[name] = NOT_FOUND
            continue
        if workload.policies.locked and not spec.force:
            result[name] = LOCKED
            continue
        changes, result[name] = _look(spec, workload, wanted)
        if changes:
            edits[name] = set_images(workload, changes)
    return Plan(edits=edits, result=result)


def _look(
    spec: ContainersSpec, workload: Workload, wanted: Iterable[Change]
) -> tuple[tuple[Change, ...], WorkloadResult]:
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
    if error and not spec.skip_mismatches:
        raise PermanentError(f"cannot satisfy specs: {workload.id}: {error}")
    status = "success" if changes else "skipped"
    return tuple(changes), WorkloadResult(status=status, error=error, changes=tuple(changes))


def _sentence(missing: list[str], differing: list[str]) -> str:
    parts = []
    if missing:
        parts.append(f"container(s) not found: {', '.join(missing)}")
    if differing:
        parts.append(f"container(s) tag mismatch: {', '.join(differing)}")
    return "; ".join(parts)
