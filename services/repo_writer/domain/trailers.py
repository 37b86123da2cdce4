"""
What a commit tells of itself, so that it can be told again from git alone.

If the process dies between push and publish, the redelivered message finds its work done: these
trailers then say by which commit, for whom, and what it changed. They are the last paragraph of
the message, and what stands above it, a person's own words among them, is never read.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from services.repo_writer.domain.plan import Plan
from shared.contract import Cause, Change, WorkloadResult

_KIND, _ORDER, _USER, _UPDATE, _POLICY, _HOLD = (
    "Flux-Kind",
    "Flux-Order",
    "Flux-User",
    "Flux-Update",
    "Flux-Policy",
    "Flux-Hold",
)
_TRAILER = re.compile(r"(Flux-[A-Z][a-z]+): (.*)")
_CHANGE = re.compile(r"(?P<workload>\S+) (?P<container>\S+) (?P<current>\S+) -> (?P<target>\S+)")
_UNQUOTED = "/:@+=<>"
# NUL would end the message for git; the others hide text in terminals, or can't be encoded.
_UNTOLD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the trailers of a commit say."""

    kind: str
    """auto | release | policy"""
    order: str
    """The id of the person's order; empty for an automated update."""
    user: str
    result: Mapping[str, WorkloadResult]
    held: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """By workload: containers, each with the tag that it was kept from by this commit."""


def write(
    message: str, *, kind: str, plan: Plan, order: str = "", cause: Cause | None = None
) -> str:
    """Return *message* with the trailers that tell *plan*."""
    user = _clean(" ".join(cause.user.split())) if cause else ""
    lines = [f"{_KIND}: {kind}"]
    lines += [f"{_ORDER}: {_quoted(order)}"] if order else []
    lines += [f"{_USER}: {user}"] if user else []
    for workload, one in sorted(plan.result.items()):
        if one.status != "success":
            continue
        name = _quoted(workload)  # from a file, which may call it anything
        lines += [f"{_UPDATE}: {name} {_change(change)}" for change in one.changes]
        lines += [] if one.changes else [f"{_POLICY}: {name}"]
        lines += [
            f"{_HOLD}: {name} {_quoted(container)} {_quoted(tag)}"
            for container, tag in plan.held.get(workload, ())
        ]
    return "\n".join([_clean(message).strip(), "", *lines, ""])


def words(message: str) -> str:
    """Return what stands above the trailers, for people."""
    return message.rstrip() if read(message) is None else message.rstrip().rpartition("\n\n")[0]


def read(message: str) -> Told | None:
    """Return what a commit's *message* tells; None if it is none of ours."""
    lines = message.rstrip().rpartition("\n\n")[2].split("\n")
    found = [(one[1], one[2]) for line in lines if (one := _TRAILER.fullmatch(line))]
    fields = dict(found)
    if _KIND not in fields or len(found) < len(lines):
        return None
    changes: dict[str, tuple[Change, ...]] = {
        unquote(value): () for name, value in found if name == _POLICY
    }
    for name, value in found:
        parts = _CHANGE.fullmatch(value) if name == _UPDATE else None
        if parts:
            workload, *rest = map(unquote, parts.groups())
            change = dict(zip(("container", "current", "target"), rest, strict=True))
            changes[workload] = (*changes.get(workload, ()), Change.model_validate(change))
    held: dict[str, tuple[tuple[str, str], ...]] = {}
    for name, value in found:
        if name == _HOLD and len(parts_of := value.split(" ")) == 3:
            workload, container, tag = map(unquote, parts_of)
            held[workload] = (*held.get(workload, ()), (container, tag))
    return Told(
        kind=fields[_KIND],
        order=unquote(fields.get(_ORDER, "")),
        user=fields.get(_USER, ""),
        result={
            name: WorkloadResult(status="success", changes=some) for name, some in changes.items()
        },
        held=held,
    )


def _clean(text: str) -> str:
    return _UNTOLD.sub("", text.replace("\r\n", "\n"))


def _change(change: Change) -> str:
    # A container of a HelmRelease is called as its key is, and an image may be any text.
    return f"{_quoted(change.container)} {_quoted(change.current)} -> {_quoted(change.target)}"


def _quoted(text: str) -> str:
    return quote(text, _UNQUOTED, errors="replace")
