"""
A release by hand, with Flux v1's filters, statuses and reasons.

Before the images are known: included, excluded, another image, locked, ignored. With them: what
`newest` says of each container. `--force` lifts the lock for workloads named, and the filter for
an image named.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from services.repo_writer.domain.newest import (
    NO_IMAGE,
    NOT_USED,
    UP_TO_DATE,
    Newest,
    Tags,
    read,
    wanted_image,
)
from services.repo_writer.domain.plan import Plan, declared_twice, set_images
from services.repo_writer.domain.state import Spot, State, Workload
from shared.contract import Change, ImageSpec, WorkloadResult
from shared.images import ImageRef

ALL = "<all>"

NOT_INCLUDED = WorkloadResult(status="ignored", error="not included")
EXCLUDED = WorkloadResult(status="ignored", error="excluded")
OTHER_IMAGE = WorkloadResult(status="ignored", error="a different image")
LOCKED = WorkloadResult(status="skipped", error="locked")
IGNORED = WorkloadResult(status="skipped", error="ignore")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """The workloads that a release may change, and the results of all others."""

    workloads: tuple[Workload, ...]
    result: Mapping[str, WorkloadResult]


def candidates(spec: ImageSpec, state: State) -> Candidates:
    """
    Sort out what needs no look at a registry.

    Raises:
        PermanentError: the image or a workload is none.
    """
    wanted = {_full(name, state) for name in spec.workloads}
    excludes = {_full(name, state) for name in spec.excludes}
    image = wanted_image(spec)
    result = dict.fromkeys(wanted - state.workloads.keys() - {ALL}, not_found(state))
    kept = []
    for name, workload in state.workloads.items():
        verdict = (
            _prefilter(name, wanted, excludes)
            or _postfilter(spec, workload, image)
            or declared_twice(name, state)
        )
        if verdict is None:
            kept.append(workload)
        else:
            result[name] = verdict
    return Candidates(workloads=tuple(kept), result=result)


def images_needed(spec: ImageSpec, found: Candidates) -> Mapping[str, bool]:
    """Return the canonical repositories to read, and of which ones creation times are needed."""
    image = wanted_image(spec)
    if image is not None:
        return {image.canonical_repository: False} if found.workloads else {}
    needed: dict[str, bool] = {}
    for workload in found.workloads:
        for container, written in workload.containers.items():
            if (current := read(written)) is not None:
                name = current.canonical_repository
                by_time = workload.policies.tag_policy(container).needs_created
                needed[name] = needed.get(name, False) or by_time
    return needed


def plan_release(spec: ImageSpec, found: Candidates, state: State, tags: Tags) -> Plan:
    """Return what a release changes, and a result for every workload of the repository."""
    newest = Newest(spec, tags)
    edits, result = {}, dict(found.result)
    for workload in found.workloads:
        name = str(workload.id)
        result[name] = _result(workload, newest)
        if result[name].changes:
            edits[workload.spot] = set_images(workload, result[name].changes)
    return Plan(edits=edits, result=result, forced=overridden(edits, state))


def not_found(state: State) -> WorkloadResult:
    """Return the result of a workload that no file declares."""
    return WorkloadResult(status="skipped", error=f"not found in repository{state.missing()}")


def barred(workload: Workload, *, forced: bool) -> WorkloadResult | None:
    """Return the result of a workload that is not to be changed."""
    if forced:
        return None
    if workload.policies.locked:
        return LOCKED
    return IGNORED if workload.policies.ignored else None


def overridden(edits: Iterable[Spot], state: State) -> tuple[str, ...]:
    """Return the locked workloads among those that are edited."""
    names = sorted({spot.workload for spot in edits})
    return tuple(name for name in names if state.workloads[name].policies.locked)


def _full(name: str, state: State) -> str:
    workload = state.find(name) if name != ALL else None
    return str(workload.id) if workload else name


def _prefilter(
    name: str, wanted: Container[str], excludes: Container[str]
) -> WorkloadResult | None:
    if ALL not in wanted and name not in wanted:
        return NOT_INCLUDED
    return EXCLUDED if name in excludes else None


def _postfilter(
    spec: ImageSpec, workload: Workload, image: ImageRef | None
) -> WorkloadResult | None:
    if image is not None and not _uses(workload, image):
        return OTHER_IMAGE
    return barred(workload, forced=spec.force and ALL not in spec.workloads)


def _uses(workload: Workload, image: ImageRef) -> bool:
    used = map(read, workload.containers.values())
    return any(one is not None and one.same_repository(image) for one in used)


def _result(workload: Workload, newest: Newest) -> WorkloadResult:
    """Return the changes of a workload, or what is told of it if there are none."""
    changes: list[Change] = []
    reasons = [NOT_USED]
    for container, written in workload.containers.items():
        found = newest.of(workload, container)
        if isinstance(found, WorkloadResult):
            reasons.append(found)
        else:
            changes.append(Change(container=container, current=written, target=str(found)))
    if not changes:
        return min(reasons, key=_weight)
    at_fault = "; ".join(dict.fromkeys(one.error for one in reasons if _weight(one) < 0))
    return WorkloadResult(status="success", changes=tuple(changes), error=at_fault)


def _weight(reason: WorkloadResult) -> int:
    """Of several containers' reasons the first in this order is told; ahead, invalid filters."""
    order = (NO_IMAGE, UP_TO_DATE, NOT_USED)
    return order.index(reason) if reason in order else -1
