"""Changes of policies by hand: automate, lock, tag filters. Written as annotations."""

from collections.abc import Mapping

from services.repo_writer.domain.plan import Edit, Plan
from services.repo_writer.domain.state import State, Workload
from shared.contract import PolicyChange, PolicySpec, WorkloadResult
from shared.images import TagPolicy
from shared.manifests import Annotate, WorkloadId
from shared.runtime.errors import PermanentError

TAG_ALL = "tag_all"
EVERYTHING = "glob:*"


def plan_policies(spec: PolicySpec, state: State) -> Plan:
    """
    Return the annotations to write; an unknown workload is skipped, as in Flux v1.

    Raises:
        PermanentError: a tag pattern is invalid. `fluxctl` does not check it, so we must.
    """
    edits: dict[str, tuple[Edit, ...]] = {}
    result = {}
    for name, change in spec.changes.items():
        _check(change)
        workload = _find(name, state)
        wanted = _wanted(workload, change) if workload else {}
        result[name] = WorkloadResult(status="success" if wanted else "skipped")
        if workload and wanted:
            edits[str(workload.id)] = (Annotate(workload=workload.id, changes=wanted),)
    return Plan(edits=edits, result=result)


def _find(name: str, state: State) -> Workload | None:
    meant = WorkloadId.parse(name)
    return next((one for one in state.values() if meant.means(one.id)), None)


def _check(change: PolicyChange) -> None:
    for policy, value in change.add.items():
        if policy != TAG_ALL and not policy.startswith("tag."):
            continue
        problem = TagPolicy.parse(value).problem
        if problem:
            raise PermanentError(f'invalid tag pattern: "{value}" ({problem})')


def _wanted(workload: Workload, change: PolicyChange) -> Mapping[str, str | None]:
    """Return what differs from the policies that are there; None removes."""
    adds = {**_for_all(workload, change.add.get(TAG_ALL)), **change.add}
    adds.pop(TAG_ALL, None)
    # Adding wins over removing, as in Flux v1's editor.
    removes = dict.fromkeys((name for name in change.remove if name not in adds), None)
    now = workload.policies.values
    wanted: dict[str, str | None] = {**removes, **adds}
    return {name: value for name, value in wanted.items() if now.get(name) != value}


def _for_all(workload: Workload, pattern: str | None) -> Mapping[str, str | None]:
    """Return a pattern for every container; the one that matches all means none."""
    if pattern is None:
        return {}
    value = None if pattern == EVERYTHING else pattern
    return {f"tag.{container}": value for container in workload.containers}
