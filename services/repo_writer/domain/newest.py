"""
Which image a release gives to a container.

The newest that the container's tag filter lets through, or the very one that was asked for. Many
containers have image, tag and filter in common: for those the answer is found once.
"""

from collections.abc import Iterable, Mapping

from services.repo_writer.domain.state import Workload
from shared.contract import ImageSpec, WorkloadResult
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

ALL_LATEST = "<all latest>"

Tags = Mapping[str, tuple[Candidate, ...]]
"""What a registry has, by canonical image repository; one that could not be read is missing."""

UP_TO_DATE = WorkloadResult(status="skipped", error="image(s) up to date")
NOT_USED = WorkloadResult(status="ignored", error="does not use image(s)")
NO_IMAGE = WorkloadResult(status="skipped", error="cannot find one or more images")


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


def read(image: str) -> ImageRef | None:
    """Return a declared image; None if it is no reference, as in a file that is filled in later."""
    try:
        return ImageRef.parse(image)
    except InvalidReferenceError:
        return None


class Newest:
    """Answers for the containers of one release."""

    def __init__(self, spec: ImageSpec, tags: Tags) -> None:
        self._wanted = wanted_image(spec)
        self._forced = spec.force
        self._tags = tags
        self._known: dict[tuple[str, str | None, str | None, str], str | WorkloadResult] = {}

    def of(self, workload: Workload, container: str) -> ImageRef | WorkloadResult:
        """Return the image to go to, or the result that this container leads to."""
        current = read(workload.containers[container])
        if self._wanted is not None and not (current and self._wanted.same_repository(current)):
            return NOT_USED
        if current is None or current.canonical_repository not in self._tags:
            return NO_IMAGE
        policy = self._policy(workload, container)
        if not policy.valid:
            # Told, instead of saying that it matches nothing.
            return WorkloadResult(status="skipped", error=f"{workload.place}: {policy.problem}")
        tag = self._tag(current, policy)
        if isinstance(tag, WorkloadResult):
            return tag
        return UP_TO_DATE if tag == current.tag else current.with_tag(tag)

    def _policy(self, workload: Workload, container: str) -> TagPolicy:
        if self._wanted is not None and self._forced:
            return EVERYTHING  # only here `--force` lifts the filter
        return workload.policies.tag_policy(container)

    def _tag(self, current: ImageRef, policy: TagPolicy) -> str | WorkloadResult:
        key = (current.canonical_repository, current.tag, current.digest, str(policy))
        if key not in self._known:
            tags = self._tags[current.canonical_repository]
            found = (
                _latest(current, policy, tags)
                if self._wanted is None
                else _named(self._wanted, policy, tags)
            )
            self._known[key] = found
        return self._known[key]


def _named(wanted: ImageRef, policy: TagPolicy, known: Iterable[Candidate]) -> str | WorkloadResult:
    there = ranked((one for one in known if one.tag == wanted.tag), policy)
    return there[0].tag if there else NO_IMAGE


def _latest(
    current: ImageRef, policy: TagPolicy, tags: tuple[Candidate, ...]
) -> str | WorkloadResult:
    """
    Return the tag that *policy* prefers, by the rules of automation.

    A person may ask for more: a tag where there was none, or where the registry has the declared
    one no more, so that nothing can be said of its age.
    """
    choice = choose(tags, policy, current)
    if choice.chosen is not None:
        return choice.chosen.tag
    best = next(
        (one for one in ranked(tags, policy) if one.created or not policy.needs_created), None
    )
    if best is None:
        return NOT_USED
    gone = all(one.tag != current.tag for one in tags)
    if gone and choice.reasons[best.tag] in {Reason.UNTAGGED, Reason.CURRENT_UNKNOWN}:
        return best.tag
    return NO_IMAGE if Reason.CURRENT_UNKNOWN in choice.reasons.values() else UP_TO_DATE
