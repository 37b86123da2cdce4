"""Changes of policies by hand: automate, lock, tag filters. Written as annotations."""

import re
from collections.abc import Iterable, Mapping

from services.repo_writer.domain.plan import Edit, Plan, declared_twice
from services.repo_writer.domain.state import Spot, State, Workload
from shared.contract import PolicyChange, PolicySpec, WorkloadResult
from shared.images import TagPolicy
from shared.manifests import Annotate
from shared.runtime.errors import PermanentError

TAG_ALL = "tag_all"
EVERYTHING = "glob:*"

# What Kubernetes takes as the name of an annotation, behind a prefix: anything else would keep
# the whole object from being applied.
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")


def plan_policies(spec: PolicySpec, state: State) -> Plan:
    """
    Return the annotations to write; an unknown workload is skipped, as in Flux v1.

    Raises:
        PermanentError: a tag pattern is invalid, or a policy's name. `fluxctl` checks neither, so
            we must.
    """
    edits: dict[Spot, tuple[Edit, ...]] = {}
    result = {}
    for name, change in spec.changes.items():
        _check(change)
        workload = state.find(name)
        wanted = _wanted(workload, change) if workload else {}
        _check_names(policy for policy, value in wanted.items() if value is not None)
        key = str(workload.id) if workload else name
        if workload and wanted and key not in state.twice:
            one = Annotate(workload=workload.id, changes=wanted)
            edits[workload.spot] = (*edits.get(workload.spot, ()), one)
        result[key] = _result(workload, edits, state)
    return Plan(edits=edits, result=result)


def _result(
    workload: Workload | None, edits: Mapping[Spot, object], state: State
) -> WorkloadResult:
    if workload is None:
        return WorkloadResult(status="skipped", error=state.missing().strip())
    if twice := declared_twice(str(workload.id), state):
        return twice
    return WorkloadResult(status="success" if workload.spot in edits else "skipped")


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        if not _NAME.fullmatch(name):
            raise PermanentError(
                f"{name!r} is no name of a policy: Kubernetes takes up to 63 letters, digits, `-`,"
                " `_` and `.` as the name of an annotation"
            )


def _check(change: PolicyChange) -> None:
    for policy, value in change.add.items():
        if policy != TAG_ALL and not policy.startswith("tag."):
            continue
        problem = TagPolicy.parse(value).problem
        if problem:
            raise PermanentError(f'invalid tag pattern: "{value}" ({problem})')


def _wanted(workload: Workload, change: PolicyChange) -> Mapping[str, str | None]:
    """
    Return what differs from the policies that are there; None removes.

    As in Flux v1, removing wins over adding, and an empty value removes. One difference: a pattern
    for one container wins over the removal of all that `tag_all` stands for.
    """
    adds = {**_for_all(workload, change.add.get(TAG_ALL)), **change.add}
    adds.pop(TAG_ALL, None)
    now = workload.policies.values
    wanted = {name: value or None for name, value in adds.items()}
    wanted |= dict.fromkeys(change.remove, None)
    return {name: value for name, value in wanted.items() if now.get(name) != value}


def _for_all(workload: Workload, pattern: str | None) -> Mapping[str, str | None]:
    """Return a pattern for every container; the one that matches all means none."""
    if pattern is None:
        return {}
    value = None if pattern == EVERYTHING else pattern
    return {f"tag.{container}": value for container in workload.containers}
