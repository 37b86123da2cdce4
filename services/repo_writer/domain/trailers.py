"""
What a commit tells of itself, so that it can be told again from git alone.

If the process dies between push and publish, the redelivered message finds its work done: these
trailers then say by which commit, for whom, and what it changed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from services.repo_writer.domain.plan import Plan
from shared.contract import Cause, Change, WorkloadResult

_KIND, _ORDER, _USER, _UPDATE, _POLICY = (
    "Flux-Kind",
    "Flux-Order",
    "Flux-User",
    "Flux-Update",
    "Flux-Policy",
)
_TRAILER = re.compile(r"^(Flux-[A-Z][a-z]+): (.*)$", re.MULTILINE)
_CHANGE = re.compile(r"(?P<workload>\S+) (?P<container>\S+) (?P<current>\S+) -> (?P<target>\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the trailers of a commit say."""

    kind: str
    """auto | release | policy"""
    order: str
    """The id of the person's order; empty for an automated update."""
    user: str
    result: Mapping[str, WorkloadResult]


def write(
    message: str, *, kind: str, plan: Plan, order: str = "", cause: Cause | None = None
) -> str:
    """Return *message* with the trailers that tell *plan*."""
    user = " ".join(cause.user.split()) if cause else ""
    lines = [f"{_KIND}: {kind}"]
    lines += [f"{_ORDER}: {order}"] if order else []
    lines += [f"{_USER}: {user}"] if user else []
    for name, one in sorted(plan.result.items()):
        if one.status != "success":
            continue
        lines += [f"{_UPDATE}: {name} {_change(change)}" for change in one.changes]
        lines += [] if one.changes else [f"{_POLICY}: {name}"]
    return "\n".join([message.rstrip(), "", *lines, ""])


def read(message: str) -> Told | None:
    """Return what a commit's *message* tells; None if it is none of ours."""
    found = _TRAILER.findall(message)
    fields = dict(found)
    if _KIND not in fields:
        return None
    changes: dict[str, tuple[Change, ...]] = {v: () for name, v in found if name == _POLICY}
    for name, value in found:
        parts = _CHANGE.fullmatch(value) if name == _UPDATE else None
        if parts:
            workload, *rest = parts.groups()
            change = dict(zip(("container", "current", "target"), rest, strict=True))
            changes[workload] = (*changes.get(workload, ()), Change.model_validate(change))
    return Told(
        kind=fields[_KIND],
        order=fields.get(_ORDER, ""),
        user=fields.get(_USER, ""),
        result={
            name: WorkloadResult(status="success", changes=some) for name, some in changes.items()
        },
    )


def _change(change: Change) -> str:
    return f"{change.container} {change.current} -> {change.target}"
