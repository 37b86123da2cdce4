"""
A release by hand, with Flux v1's filters, statuses and reasons.

Before the images are known: included, excluded, another image, locked, ignored. With them: the
newest that the container's tag filter lets through, or the very one that was asked for. `--force`
lifts the lock for workloads named, and the filter for an image named.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.repo_writer.domain.plan import Plan, set_images
from services.repo_writer.domain.state import State, Workload
from shared.contract import Change, ImageSpec, WorkloadResult
from shared.images import Candidate, ImageRef, TagPolicy, ranked
from shared.images.policy import EVERYTHING
from shared.manifests import WorkloadId

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
    """Sort out what needs no look at a registry."""
    wanted = {_full(name, state) for name in spec.workloads}
    excludes = {_full(name, state) for name in spec.excludes}
    image = None if spec.image == ALL_LATEST else ImageRef.parse(spec.image)
    result = {name: NOT_FOUND for name in wanted if name not in state and name != ALL}
    kept = []
    for name, workload in state.items():
        verdict = _prefilter(name, wanted, excludes) or _postfilter(spec, workload, image)
        if verdict is None:
            kept.append(workload)
        else:
            result[name] = verdict
    return Candidates(workloads=tuple(kept), result=result)


def images_needed(spec: ImageSpec, found: Candidates) -> frozenset[str]:
    """Return the canonical repositories whose tags the release must know."""
    if spec.image != ALL_LATEST:
        one = ImageRef.parse(spec.image).canonical_repository
        return frozenset({one} if found.workloads else ())
    return frozenset(
        ImageRef.parse(image).canonical_repository
        for workload in found.workloads
        for image in workload.containers.values()
    )


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
    """Complete Flux v1's old form of an id, `namespace/name`, by what is declared."""
    if name == ALL:
        return name
    meant = WorkloadId.parse(name)
    found = (known for known, workload in state.items() if meant.means(workload.id))
    return next(found, name)


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
    return any(ImageRef.parse(used).same_repository(image) for used in workload.containers.values())


def _changes(
    spec: ImageSpec, workload: Workload, tags: Tags
) -> tuple[tuple[Change, ...], WorkloadResult]:
    changes: list[Change] = []
    otherwise = NOT_USED
    for container, image in workload.containers.items():
        current = ImageRef.parse(image)
        newest = _newest(spec, current, _policy(spec, workload, container), tags)
        if isinstance(newest, WorkloadResult):
            otherwise = newest
        elif (target := str(current.with_tag(newest))) == image:
            otherwise = UP_TO_DATE
        else:
            changes.append(Change(container=container, current=image, target=target))
    return tuple(changes), otherwise


def _policy(spec: ImageSpec, workload: Workload, container: str) -> TagPolicy:
    """`--force` lifts the filter only where one image is named."""
    if spec.force and spec.image != ALL_LATEST:
        return EVERYTHING
    return workload.policies.tag_policy(container)


def _newest(
    spec: ImageSpec, current: ImageRef, policy: TagPolicy, tags: Tags
) -> str | WorkloadResult:
    """Return the tag to go to, or the result that this container leads to."""
    wanted = None if spec.image == ALL_LATEST else ImageRef.parse(spec.image)
    if wanted is not None and not wanted.same_repository(current):
        return NOT_USED
    known = tags.get(current.canonical_repository)
    if known is None:
        return NO_IMAGE
    best = ranked(_only(known, wanted), policy)
    if best:
        return best[0].tag
    return NOT_USED if wanted is None else NO_IMAGE


def _only(known: Iterable[Candidate], wanted: ImageRef | None) -> Iterable[Candidate]:
    return known if wanted is None else (one for one in known if one.tag == wanted.tag)
