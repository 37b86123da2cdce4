"""
What the gateway does for a request: signals, orders and questions on the bus.

Nothing is answered before the broker has confirmed it. What can't be said within a few seconds is
an error that names who is silent, never a request that hangs.
"""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from services.gateway.asking import Asking
from services.gateway.domain.errors import ApiError, missing, unprocessable
from services.gateway.domain.jobs import KEPT, Job
from services.gateway.domain.names import means_repository
from services.gateway.domain.notices import GitChange, ImageChange
from services.gateway.domain.specs import ALL, Request, Spec
from services.gateway.domain.view import View
from services.gateway.settings import Settings
from shared.contract import (
    ContainersSpec,
    Draft,
    Event,
    HeadQuestion,
    HeadTold,
    ImageSpec,
    Message,
    OrderCompleted,
    OrderGiven,
    OrderRejected,
    PlanMade,
    PlanQuestion,
    PolicySpec,
    PollRequested,
    RollbackSpec,
    ScanRequested,
    SyncRequested,
    UpdateRequested,
)
from shared.contract.envelope import uuid7
from shared.runtime.tasks import first_error

UNHEARD = 45.0
"""Seconds after which a person is told that nobody has begun with an order; before fluxctl's own
patience ends, which names nobody."""
SYNC = "sync"
"""What stands for the order's id in a sync, which is no order that anybody takes."""
REVISION = 7
"""Characters of a revision that clients cut off, and crash where there are fewer."""


class Handlers:
    """Acts on the bus for one target; what it knows is in the view."""

    def __init__(
        self, settings: Settings, view: View, asking: Asking, *, unheard: float = UNHEARD
    ) -> None:
        self._settings = settings
        self._view = view
        self._asking = asking
        self._unheard = unheard

    async def update(self, request: Request) -> str:
        """Order an update, or plan it; return the job's id."""
        if request.spec is None:
            return await self._sync(allow_prune=request.allow_prune)
        parts = self._by_repository(request.spec)
        if request.plan:
            return await self._plan(request, parts)
        given = OrderGiven(target=self._view.target, orders=len(parts), spec=request.sent)
        orders = (
            UpdateRequested(
                repository=repository,
                syncs=self._settings.syncs[repository],
                spec=spec,
                cause=request.cause,
            )
            for repository, spec in parts.items()
        )
        return await self.say(given, *orders)

    def job(self, identity: str) -> Mapping[str, Any]:
        """Return what became of a job."""
        job = self._view.jobs.get(identity)
        if job is None:
            raise missing(
                f'unknown job "{identity}"',
                f"Nothing is known of the job {identity}: the gateway remembers the newest"
                f" {KEPT}, as far as its log goes back.",
            )
        return job.json(self._unheard_of(job))

    async def notify(self, change: GitChange | ImageChange) -> None:
        """Pass on that a branch moved or an image was pushed, where somebody cares."""
        if isinstance(change, GitChange):
            signals = [
                Draft(message=PollRequested(repository=name, reason="webhook"))
                for name in self._concerned(change)
            ]
        else:
            wanted = change.image in self._view.automated_images()
            signal = Draft(message=ScanRequested(image=change.image, reason="webhook"))
            signals = [signal] if wanted else []
        await self._asking.say(*signals)

    def pending(self, ref: str) -> list[str]:
        """Return the commits up to *ref* that are not applied, the newest first."""
        for repository, branch in self._view.branches.items():
            is_head = ref in {"", "HEAD", self._settings.repositories[repository].branch}
            place = 0 if is_head else branch.find(ref)
            if place is not None and branch.revisions:
                return branch.pending(place, self._view.applied(repository))
        raise unprocessable(f"the revision {ref!r} is not known on any branch that is watched")

    def _concerned(self, change: GitChange) -> list[str]:
        """Return the repositories to look at: one that is meant, or all if the URL is of none."""
        repositories = self._settings.repositories
        meant = {
            name: one for name, one in repositories.items() if means_repository(change.url, one.url)
        }
        return [
            name
            for name, one in (meant or repositories).items()
            if not meant or not one.branch or change.branch in {"", one.branch}
        ]

    def _unheard_of(self, job: Job) -> str:
        """Say that nobody has begun with a job, if that is so for too long."""
        if job.given is None or job.status != "queued":
            return ""
        if (datetime.now(UTC) - job.given).total_seconds() < self._unheard:
            return ""
        return (
            f"nobody has begun with the order within {self._unheard:g} s; is {job.owner} running?"
            f" It stays in its queue, and will be carried out when {job.owner} gets to it."
        )

    async def _sync(self, *, allow_prune: bool) -> str:
        """
        Poll every branch and ask for every sync; it is done when the heads are known.

        With *allow_prune* these heads may take away what they do, and no later ones.
        """
        heads = await self._heads(self._settings.repositories)
        signals = (
            SyncRequested(
                sync=sync,
                reason="person",
                allow_prune=heads[repository].revision if allow_prune else "",
            )
            for repository, one in self._settings.repositories.items()
            for sync in one.syncs
        )
        for repository, head in heads.items():
            if not head.error:
                self._view.branches[repository].push(head.revision)
        given = OrderGiven(target=self._view.target)
        return await self.say(given, *signals, self._end_of_sync(heads))

    def _end_of_sync(self, heads: Mapping[str, HeadTold]) -> Event:
        errors = dict.fromkeys(head.error for head in heads.values() if head.error)
        if errors or not heads:
            reason = "; ".join(errors) or "no sync is configured for this target"
            return OrderRejected(order=SYNC, about=self._view.target, reason=reason)
        # Of several repositories the first one is shown, as in `git-repo-config`.
        first = next(iter(heads.values()))
        return OrderCompleted(order=SYNC, about=self._view.target, revision=first.revision)

    async def _heads(self, repositories: Iterable[str]) -> Mapping[str, HeadTold]:
        async with asyncio.TaskGroup() as group:
            asked = {name: group.create_task(self._head(name), name=name) for name in repositories}
        return {name: task.result() for name, task in asked.items()}

    async def _head(self, repository: str) -> HeadTold:
        try:
            told = await self._asking.ask(HeadQuestion(repository=repository), HeadTold)
        except ApiError as error:
            return HeadTold(error=error.error)
        if not told.error and len(told.revision) < REVISION:
            return HeadTold(error=f"git-watcher told no revision of {repository}")
        return told

    async def _plan(self, request: Request, parts: Mapping[str, Spec]) -> str:
        questions = [
            PlanQuestion(repository=name, syncs=self._settings.syncs[name], spec=spec)
            for name, spec in parts.items()
        ]
        plans = await self._plans(questions)
        given = OrderGiven(
            target=self._view.target, orders=len(parts), plan=True, spec=request.sent
        )
        ends = (
            OrderCompleted(order=repository, about=repository, result=made.result)
            for repository, made in zip(parts, plans, strict=True)
        )
        return await self.say(given, *ends)

    async def say(self, *messages: Message) -> str:
        """Say what a new job is made of; return its id. A restart reads it from the log."""
        job = uuid7()
        drafts = [Draft(message=message, correlationid=job) for message in messages]
        for draft in drafts:
            self._view.fold(draft.sealed("/gateway"))
        await self._asking.say(*drafts)
        return job

    async def _plans(self, questions: Iterable[PlanQuestion]) -> list[PlanMade]:
        with first_error():
            async with asyncio.TaskGroup() as group:
                asked = [group.create_task(self._planned(question)) for question in questions]
        return [task.result() for task in asked]

    async def _planned(self, question: PlanQuestion) -> PlanMade:
        made = await self._asking.ask(question, PlanMade)
        if made.error:
            raise unprocessable(made.error)
        return made

    def _by_repository(self, spec: Spec) -> Mapping[str, Spec]:
        """Take *spec* apart by the repository that declares each workload."""
        if not self._settings.repositories:
            raise missing("no sync is configured for this target")
        names = _named(spec)
        if ALL in names:
            return dict.fromkeys(self._settings.repositories, spec)
        first = next(iter(self._settings.repositories))
        parts: dict[str, list[str]] = {}
        for name in names:
            found = self._view.workloads().get(self._view.full_name(name))
            parts.setdefault(found[0].repository if found else first, []).append(name)
        return {
            repository: _only(spec, some) for repository, some in (parts or {first: []}).items()
        }


def _named(spec: Spec) -> list[str]:
    return list(spec.workloads if isinstance(spec, ImageSpec | RollbackSpec) else spec.changes)


def _only(spec: Spec, names: list[str]) -> Spec:
    """Return the part of *spec* that concerns *names*."""
    match spec:
        case ImageSpec() | RollbackSpec():
            return spec.model_copy(update={"workloads": tuple(names)})
        case ContainersSpec():
            return spec.model_copy(update={"changes": {n: spec.changes[n] for n in names}})
        case PolicySpec():
            return spec.model_copy(update={"changes": {n: spec.changes[n] for n in names}})
