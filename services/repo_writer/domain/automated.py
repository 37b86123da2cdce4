"""
Which of the images found still make sense on the head that is about to be extended.

An update found for image A is written only while the head declares A under the same policies:
else somebody was faster, and the scanner will look again.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from services.repo_writer.domain.plan import Plan, plan_images
from services.repo_writer.domain.state import State
from shared.contract import Change, ImagesFound
from shared.images import ImageRef, InvalidReferenceError
from shared.manifests import Policies

DONE = "done"
SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Automated:
    """The plan, and every update that is not in it with its reason (`done`: it is there)."""

    plan: Plan
    left_out: tuple[tuple[ImagesFound, str], ...]


def plan_automated(found: Iterable[ImagesFound], state: State) -> Automated:
    """Keep the updates that are still wanted; of two for one container the later counts."""
    all_found = tuple(found)
    latest = {(one.workload, one.container): one for one in all_found}
    verdicts = [(one, verdict(one, state)) for one in latest.values()]
    changes: dict[str, tuple[Change, ...]] = {}
    for one, reason in verdicts:
        if reason is None:
            change = Change(container=one.container, current=one.current, target=one.chosen)
            changes[one.workload] = (*changes.get(one.workload, ()), change)
    left_out = [(one, reason) for one, reason in verdicts if reason is not None]
    left_out += [
        (one, SUPERSEDED)
        for one in all_found
        if one.chosen != latest[one.workload, one.container].chosen
    ]
    return Automated(plan=plan_images(state, changes), left_out=tuple(left_out))


def verdict(one: ImagesFound, state: State) -> str | None:
    """Say why an update is not written; None if it is."""
    workload = state.get(one.workload)
    declared = workload.containers.get(one.container) if workload else None
    if workload is None or declared is None:
        return "not-found"
    if declared == one.chosen:
        return DONE
    if declared != one.current:
        return SUPERSEDED
    return _policy_verdict(one, workload.policies) or _image_verdict(one, workload.policies)


def _policy_verdict(one: ImagesFound, policies: Policies) -> str | None:
    if policies.locked:
        return "locked"
    if not policies.automated or policies.ignored:
        return "not-automated"
    return None if policies.digest() == one.policy_digest else "policy-changed"


def _image_verdict(one: ImagesFound, policies: Policies) -> str | None:
    """Trust nobody to name another image than the declared one, or a tag that is not wanted."""
    try:
        current, chosen = ImageRef.parse(one.current), ImageRef.parse(one.chosen)
    except InvalidReferenceError as error:
        return f"unwritable: {error}"
    if chosen.tag is None or chosen.repository != current.repository:
        return f"unwritable: {one.chosen} is no tag of {current.repository}"
    policy = policies.tag_policy(one.container)
    return None if policy.matches(chosen.tag) else f"unwritable: {policy} matches no {chosen.tag}"
