"""
A release by hand, with Flux v1's filters, statuses and reasons.

Before the images are known: included, excluded, another image, locked, ignored. With them: the
newest that the container's tag filter lets through, or the very one that was asked for. `--force`
lifts the lock for workloads named, and the filter for an image named.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.repo_writer.domain.plan import Plan, set_images
from services.repo_writer.domain.state import State, Workload, find
from shared.contract import Change, ImageSpec, WorkloadResult
from shared.images import (
    Candidate,
    ImageRef,
    InvalidReferenceError,
    Reason,
    TagPolicy,
    choose,
    ranked,
)
from shared.images.policy import EVERYTHING
from shared.runtime.errors import PermanentError

ALL = "<all>"
ALL_LATEST = "<all latest>"

Tags = Mapping[str, tuple[Candidate, ...]]
"""What a registry has, by canonical image repository; one that could not be read is missing."""

NOT_FOUND = WorkloadResult(status="skipped", error="not found in repository")
NOT_INCLUDED = WorkloadResult(status="ignored", error="not included")
EXCLUDED = WorkloadResult(status="ignored", error="excluded")
OTHER_IMAGE = WorkloadResult(status="ignored", error="a different image")
LOCKED = WorkloadResult(status="skipped", error="locked")
IGNORED = WorkloadResult(status="skipped", error="ignore")
UP_TO_DATE = WorkloadResult(status="skipped", error="image(s) up to date")
NOT_USED = WorkloadResult(status="ignored", error="does not use image(s)")
NO_IMAGE = WorkloadResult(status="skipped", error="cannot find one or more images")


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
    result = {name: NOT_FOUND for name in wanted if name not in state and name != ALL}
    kept = []
    for name, workload in state.items():
        verdict = _prefilter(name, wanted, excludes) or _postfilter(spec, workload, image)
        if verdict is None:
            kept.append(workload)
        else:
            result[name] = verdict
    return Candidates(workloads=tuple(kept), result=result)


def wanted_image(spec: ImageSpec) -> ImageRef | None:
    """
    Return the image that a release names; None if the newest ones are wanted.

    Raises:
        PermanentError: it is none.
    """
    if spec.image == ALL_LATEST:
        return None
    try:
        return ImageRef.parse(spec.image)
    except InvalidReferenceError as error:
        raise PermanentError(str(error)) from error


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


def read(image: str) -> ImageRef | None:
    """Return a declared image; None if it is no reference, as in a file that is filled in later."""
    try:
        return ImageRef.parse(image)
    except InvalidReferenceError:
        return None


def plan_release(spec: ImageSpec, found: Candidates, tags: Tags) -> Plan:
    """Return what a release changes, and a result for every workload of the repository."""
    edits, result = {}, dict(found.result)
    for workload in found.workloads:
        name = str(workload.id)
        changes, otherwise = _changes(spec, workload, tags)
        if changes:
            edits[name] = set_images(workload, changes)
            result[name] = WorkloadResult(status="success", changes=changes)
        else:
            result[name] = otherwise
    return Plan(edits=edits, result=result)


def _full(name: str, state: State) -> str:
    workload = find(name, state) if name != ALL else None
    return str(workload.id) if workload else name


def _prefilter(name: str, wanted: set[str], excludes: set[str]) -> WorkloadResult | None:
    if ALL not in wanted and name not in wanted:
        return NOT_INCLUDED
    return EXCLUDED if name in excludes else None


def _postfilter(
    spec: ImageSpec, workload: Workload, image: ImageRef | None
) -> WorkloadResult | None:
    if image is not None and not _uses(workload, image):
        return OTHER_IMAGE
    forced = spec.force and ALL not in spec.workloads
    if workload.policies.locked and not forced:
        return LOCKED
    return IGNORED if workload.policies.ignored else None


def _uses(workload: Workload, image: ImageRef) -> bool:
    used = map(read, workload.containers.values())
    return any(one is not None and one.same_repository(image) for one in used)


def _changes(
    spec: ImageSpec, workload: Workload, tags: Tags
) -> tuple[tuple[Change, ...], WorkloadResult]:
    """Return the changes of a workload, and what is told of it if there are none."""
    changes: list[Change] = []
    reasons = [NOT_USED]
    for container, written in workload.containers.items():
        newest = _newest(spec, workload, container, tags)
        if isinstance(newest, WorkloadResult):
            reasons.append(newest)
        else:
            changes.append(Change(container=container, current=written, target=str(newest)))
    return tuple(changes), min(reasons, key=_weight)


def _weight(reason: WorkloadResult) -> int:
    """Of several containers' reasons the first in this order is told."""
    order = (NO_IMAGE, UP_TO_DATE, NOT_USED)
    return order.index(reason) if reason in order else -1


def _newest(
    spec: ImageSpec, workload: Workload, container: str, tags: Tags
) -> ImageRef | WorkloadResult:
    """Return the image to go to, or the result that this container leads to."""
    wanted, current = wanted_image(spec), read(workload.containers[container])
    if wanted is not None and (current is None or not wanted.same_repository(current)):
        return NOT_USED
    known = tags.get(current.canonical_repository) if current else None
    if current is None or known is None:
        return NO_IMAGE
    policy = workload.policies.tag_policy(container)
    if wanted is not None:
        # Only here `--force` lifts the filter.
        tag = _named(wanted, EVERYTHING if spec.force else policy, known)
    else:
        tag = _latest(current, policy, known)
    if isinstance(tag, WorkloadResult):
        return tag
    return UP_TO_DATE if tag == current.tag else current.with_tag(tag)


def _named(wanted: ImageRef, policy: TagPolicy, known: Iterable[Candidate]) -> str | WorkloadResult:
    there = ranked((one for one in known if one.tag == wanted.tag), policy)
    if there:
        return there[0].tag
    return _invalid(policy) or NO_IMAGE


def _latest(
    current: ImageRef, policy: TagPolicy, known: Iterable[Candidate]
) -> str | WorkloadResult:
    """
    Return the tag that *policy* prefers, by the rules of automation.

    A person may ask for more: a tag where there was none, or where the registry has the declared
    one no more, so that nothing can be said of its age.
    """
    tags = tuple(known)
    best = next(
        (one for one in ranked(tags, policy) if one.created or not policy.needs_created), None
    )
    if best is None:
        return _invalid(policy) or NOT_USED
    choice = choose(tags, policy, current)
    if choice.chosen is not None:
        return choice.chosen.tag
    gone = all(one.tag != current.tag for one in tags)
    if gone and choice.reasons[best.tag] in {Reason.UNTAGGED, Reason.CURRENT_UNKNOWN}:
        return best.tag
    return NO_IMAGE if Reason.CURRENT_UNKNOWN in choice.reasons.values() else UP_TO_DATE


def _invalid(policy: TagPolicy) -> WorkloadResult | None:
    """Tell an invalid pattern instead of saying that it matches nothing."""
    return None if policy.valid else WorkloadResult(status="skipped", error=policy.problem or "")
