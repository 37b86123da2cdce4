"""
Which of the images found still make sense on the head that is about to be extended.

An update found for image A is written only while the head declares A under the same policies:
else somebody was faster, and the scanner will look again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.repo_writer.domain.plan import Edit, Plan, set_images
from services.repo_writer.domain.state import Spot, State, Workload
from shared.contract import Change, ImagesFound, WorkloadResult
from shared.images import ImageRef, InvalidReferenceError
from shared.manifests import Policies

DONE = "done"
SUPERSEDED = "superseded"

States = Mapping[str, State]
"""What each sync declares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Automated:
    """The plan, where each update of it is written, and why every other update is not."""

    plan: Plan
    spots: tuple[tuple[ImagesFound, Spot], ...]
    left_out: tuple[tuple[ImagesFound, str], ...]
    """`done`: it is there already."""


def plan_automated(found: Iterable[ImagesFound], states: States) -> Automated:
    """Keep the updates that are still wanted; of two for one container the later counts."""
    all_found = tuple(found)
    latest = {(one.sync, one.workload, one.container): one for one in all_found}
    wanted, left_out = [], []
    for one in latest.values():
        workload, reason = _judge(one, states.get(one.sync, State()))
        if workload is None or reason:
            left_out.append((one, reason))
        else:
            wanted.append((one, workload))
    left_out += [
        (one, SUPERSEDED)
        for one in all_found
        if one.chosen != latest[one.sync, one.workload, one.container].chosen
    ]
    return Automated(
        plan=_plan(wanted),
        spots=tuple((one, workload.spot) for one, workload in wanted),
        left_out=tuple(left_out),
    )


def _plan(wanted: Iterable[tuple[ImagesFound, Workload]]) -> Plan:
    edits: dict[Spot, tuple[Edit, ...]] = {}
    changes: dict[Spot, tuple[Change, ...]] = {}
    result: dict[str, dict[Change, None]] = {}
    for one, workload in wanted:
        spot = workload.spot
        change = Change(container=one.container, current=one.current, target=one.chosen)
        edits[spot] = (*edits.get(spot, ()), *set_images(workload, [change]))
        changes[spot] = (*changes.get(spot, ()), change)
        result.setdefault(one.workload, {})[change] = None
    return Plan(
        edits=edits,
        changes=changes,
        result={
            name: WorkloadResult(status="success", changes=tuple(some))
            for name, some in result.items()
        },
    )


def _judge(one: ImagesFound, state: State) -> tuple[Workload | None, str]:
    """Return the workload to write to, or why nothing is written."""
    workload = state.workloads.get(one.workload)
    declared = workload.containers.get(one.container) if workload else None
    if workload is None or declared is None:
        return None, f"unwritable: not found{state.missing()}" if state.unread else "not-found"
    if declared == one.chosen:
        return None, DONE
    if declared != one.current:
        return None, SUPERSEDED
    if reason := state.twice.get(one.workload):
        return None, f"unwritable: {reason}"
    return workload, _policy_verdict(one, workload.policies) or _image_verdict(one, workload)


def _policy_verdict(one: ImagesFound, policies: Policies) -> str:
    if policies.locked:
        return "locked"
    if not policies.automated or policies.ignored:
        return "not-automated"
    return "" if policies.digest() == one.policy_digest else "policy-changed"


def _image_verdict(one: ImagesFound, workload: Workload) -> str:
    """Trust nobody to name another image than the declared one, or a tag that is not wanted."""
    try:
        current, chosen = ImageRef.parse(one.current), ImageRef.parse(one.chosen)
    except InvalidReferenceError as error:
        return f"unwritable: {error}"
    if chosen.tag is None or chosen.repository != current.repository:
        return f"unwritable: {one.chosen} is no tag of {current.repository}"
    policy = workload.policies.tag_policy(one.container)
    if not policy.valid:
        return f"unwritable: {workload.place}: {policy.problem}"
    return "" if policy.matches(chosen.tag) else f"unwritable: {policy} matches no {chosen.tag}"
