"""Jobs: what became of what a person asked for. A job's id is the orders' correlation id."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.contract import OrderGiven, WorkloadResult

KEPT = 2_000
"""Jobs that stay readable; a client reads each at least twice ..."""
KEPT_RESULTS = 100_000
"""... and of how many workloads they may tell in all: a release of everything tells of each."""

NO_CHANGES = "no changes made in repo"


@dataclass(slots=True, kw_only=True)
class Job:
    """One request and the orders it became: one for each repository concerned."""

    id: str
    orders: int = 1
    spec: Mapping[str, Any] | None = None
    """As the client sent it; None for a sync."""
    given: datetime | None = None
    """When it was given; None where only its orders were heard of."""
    owner: str = "repo-writer"
    """The stage that is to carry it out."""
    running: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    revision: str = ""
    result: dict[str, WorkloadResult] | None = None
    errors: dict[str, str] = field(default_factory=dict)
    """By order: told twice is told once."""

    @property
    def status(self) -> str:
        """Queued | running | succeeded | failed"""
        if len(self.ended) >= max(self.orders, len(self.running | self.ended)):
            return "failed" if self.error else "succeeded"
        return "running" if self.running or self.ended else "queued"

    @property
    def error(self) -> str:
        """Why it failed; where one repository changed, the others needn't have."""
        said = list(dict.fromkeys(self.errors.values()))
        real = [error for error in said if not error.startswith(NO_CHANGES)]
        if real:
            return "; ".join(real)
        return "" if self.revision or self.result or not said else said[0]

    def accept(self, order: str) -> None:
        """Note that an order is worked on."""
        if order not in self.ended:
            self.running.add(order)

    def complete(self, order: str, revision: str, result: Mapping[str, WorkloadResult]) -> None:
        """Note the end of an order."""
        self._end(order)
        self.errors.pop(order, None)
        self.revision = revision or self.revision
        if result:
            self.result = {**(self.result or {}), **result}

    def reject(self, order: str, reason: str) -> None:
        """Note that an order was refused."""
        self._end(order)
        self.errors[order] = reason or "the order was refused, and no reason given"

    def _end(self, order: str) -> None:
        self.running.discard(order)
        self.ended.add(order)

    def json(self, unheard: str = "") -> Mapping[str, Any]:
        """Return it as Flux v1's clients read it; failed if it is *unheard*, for that reason."""
        result: dict[str, Any] = {}
        if self.revision:
            result["revision"] = self.revision
        if self.spec is not None:
            result["spec"] = self.spec
        if self.result is not None or (self.revision and self.spec is not None):
            # A null result means that there was nothing to do.
            result["result"] = {
                name: update_result(one) for name, one in (self.result or {}).items()
            }
        status = "failed" if unheard else self.status
        error = unheard or (self.error if status == "failed" else "")
        return {"Result": result, "Err": error, "StatusString": status}


class Jobs:
    """All jobs that are remembered, by id."""

    def __init__(self, jobs: Iterable[Job] = ()) -> None:
        self._jobs: dict[str, Job] = {}
        self._results = 0
        for job in jobs:
            self._jobs[job.id] = job
            self._results += len(job.result or ())

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs.values())

    def get(self, identity: str) -> Job | None:
        """Return a job, or None."""
        return self._jobs.get(identity)

    def give(self, identity: str, given: OrderGiven, when: datetime) -> None:
        """Note what was asked for."""
        job = self._heard(identity)
        job.orders, job.spec, job.given = given.orders, given.spec, when
        job.owner = given.owner
        if given.plan and job.result is None:
            job.result = {}

    def accept(self, identity: str, order: str) -> None:
        """Note that an order of a job is worked on."""
        self._heard(identity).accept(order)

    def complete(
        self, identity: str, order: str, revision: str, result: Mapping[str, WorkloadResult]
    ) -> None:
        """Note the end of an order of a job."""
        job = self._heard(identity)
        before = len(job.result or ())
        job.complete(order, revision, result)
        self._results += len(job.result or ()) - before
        self._forget_oldest()

    def reject(self, identity: str, order: str, reason: str) -> None:
        """Note that an order of a job was refused."""
        self._heard(identity).reject(order, reason)

    def _heard(self, identity: str) -> Job:
        """Return the job of that id; a new one if nobody spoke of it yet."""
        job = self._jobs.setdefault(identity, Job(id=identity))
        self._forget_oldest()
        return job

    def _forget_oldest(self) -> None:
        while len(self._jobs) > KEPT or (self._results > KEPT_RESULTS and len(self._jobs) > 1):
            oldest = self._jobs.pop(next(iter(self._jobs)))
            self._results -= len(oldest.result or ())


def update_result(one: WorkloadResult) -> Mapping[str, Any]:
    """Return what an update meant for a workload, in Flux v1's shape."""
    changes = [
        {"Container": change.container}
        # Clients fail on an empty reference, and not on a missing one.
        | ({"Current": change.current} if change.current else {})
        | ({"Target": change.target} if change.target else {})
        for change in one.changes
    ]
    shape: dict[str, Any] = {"Status": one.status, "PerContainer": changes or None}
    if one.error:
        shape["Error"] = one.error
    return shape
