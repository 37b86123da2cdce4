"""
What of the view outlives the process: one line for each thing known, and the view made of them.

Pure. What is left out is read from the log again, or told anew. `checkpoint` writes the lines.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from services.gateway.domain.branches import Branch
from services.gateway.domain.jobs import Job, Jobs
from services.gateway.domain.view import View
from shared.contract import (
    StateDeclared,
    SyncCompleted,
    SyncFailed,
    SyncHeld,
    WorkloadChanged,
    WorkloadResult,
)

A = TypeVar("A")
B = TypeVar("B")

VERSION = 2
"""Raised when a line means something else, or more of the view is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchKept:
    """The commits of a branch."""

    repository: str
    revisions: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Down:
    """What somebody said of a dependency."""

    dependency: str
    source: str
    reason: str


Thing = tuple[str, Any]
"""What it is, and the value; a large value is cut, and each part stands for itself."""

PART = 500
"""Items of a part: reading thousands at once would hold up everybody else."""

_KINDS: dict[str, TypeAdapter[Any]] = {
    "branch": TypeAdapter(BranchKept),
    "completed": TypeAdapter(SyncCompleted),
    "declared": TypeAdapter(StateDeclared),
    "down": TypeAdapter(Down),
    "failed": TypeAdapter(SyncFailed),
    "held": TypeAdapter(SyncHeld),
    "job": TypeAdapter(Job),
    "live": TypeAdapter(WorkloadChanged),
}


def things(view: View) -> Sequence[Thing]:
    """Return what *view* knows now; what is folded later does not change it, but for jobs."""
    branches = [
        BranchKept(repository=name, revisions=branch.revisions)
        for name, branch in view.branches.items()
    ]
    return [
        *(("branch", one) for one in branches),
        *(("declared", part) for one in view.declared.values() for part in _declared(one)),
        *(("completed", part) for one in view.completed.values() for part in _completed(one)),
        *(("failed", one) for one in view.failed.values()),
        *(("held", one) for one in view.held.values()),
        *(("live", one) for one in view.live.values()),
        *(("down", Down(dependency=d, source=s, reason=r)) for (d, s), r in view.outages.items()),
        *(("job", part) for one in view.jobs for part in _job(one)),
    ]


def line(thing: Thing) -> bytes:
    """Return *thing* as one line."""
    kind, value = thing
    return kind.encode() + b" " + _KINDS[kind].dump_json(value) + b"\n"


def read(text: bytes) -> Thing:
    """
    Return what a line holds.

    Raises:
        ValueError: nothing that this version knows; the values are not told.
    """
    kind, _, value = text.partition(b" ")
    known = _KINDS.get(kind.decode(errors="replace"))
    if known is None:
        raise ValueError("a line of an unknown kind")
    try:
        return kind.decode(), known.validate_json(value)
    except ValidationError as error:
        raise ValueError(f"a line of kind {kind.decode()} can't be read") from error


def recall(view: View, known: Iterable[Thing]) -> None:
    """Make *view* know what it knew."""
    some: dict[str, list[Any]] = {kind: [] for kind in _KINDS}
    for kind, value in known:
        some[kind].append(value)
    view.recall(
        declared=_whole_declared(some["declared"]),
        completed=_whole_completed(some["completed"]),
        failed=some["failed"],
        held=some["held"],
        live=some["live"],
        outages={(one.dependency, one.source): one.reason for one in some["down"]},
    )
    view.jobs = Jobs(_whole_jobs(some["job"]))
    for kept in some["branch"]:
        view.branches[kept.repository] = Branch(kept.revisions)


def _declared(state: StateDeclared) -> Iterator[StateDeclared]:
    for part in _cut(state.workloads):
        yield state.model_copy(update={"workloads": part})


def _whole_declared(parts: Iterable[StateDeclared]) -> Iterator[StateDeclared]:
    for (first, *_), workloads in _joined(parts, lambda one: one.sync, lambda one: one.workloads):
        yield first.model_copy(update={"workloads": workloads})


def _completed(done: SyncCompleted) -> Iterator[SyncCompleted]:
    for part in _cut(done.objects):
        yield done.model_copy(update={"objects": part})


def _whole_completed(parts: Iterable[SyncCompleted]) -> Iterator[SyncCompleted]:
    for (first, *_), objects in _joined(parts, lambda one: one.sync, lambda one: one.objects):
        yield first.model_copy(update={"objects": objects})


def _job(job: Job) -> Iterator[Job]:
    if job.result is None:
        yield job
        return
    for part in _cut(tuple(job.result.items())):
        yield replace(job, result=dict(part))


def _whole_jobs(parts: Iterable[Job]) -> Iterator[Job]:
    def result(job: Job) -> Iterable[tuple[str, WorkloadResult]]:
        return (job.result or {}).items()

    for (first, *more), items in _joined(parts, lambda one: one.id, result):
        yield replace(first, result=dict(items)) if more else first


def _cut(items: Sequence[A]) -> Iterator[Sequence[A]]:
    """Yield *items* in parts, an empty one if there are none."""
    for start in range(0, len(items) or 1, PART):
        yield items[start : start + PART]


def _joined(
    parts: Iterable[A], name: Callable[[A], str], items: Callable[[A], Iterable[B]]
) -> Iterator[tuple[list[A], tuple[B, ...]]]:
    """Yield the parts that lie side by side under one name, and all their items."""
    for _, found in groupby(parts, name):
        some = list(found)
        yield some, tuple(item for part in some for item in items(part))
