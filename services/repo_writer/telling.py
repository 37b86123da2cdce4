"""
What is told of commits: of new ones, and again of those that a redelivery finds done.

The commits themselves say what they were for (see `domain.trailers`), so a process that died
between push and publish loses nothing.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5

from services.repo_writer.domain import trailers
from services.repo_writer.ports import Repo
from shared.contract import (
    Cause,
    Draft,
    Envelope,
    ImagesFound,
    OrderCompleted,
    UpdatePushed,
    UpdateRejected,
    WorkloadResult,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A commit of ours, and what its message tells."""

    revision: str
    parent: str
    message: str
    told: trailers.Told


class Telling:
    """What to tell once everything has landed on *head*."""

    def __init__(self, repository: str, repo: Repo, head: str) -> None:
        self.events: list[Draft] = []
        self._repository = repository
        self._repo = repo
        self._head = head
        self._told: set[str] = set()
        self._past: list[Written] | None = None

    async def past(self) -> Sequence[Written]:
        """Return our own commits that the head has, the newest first."""
        if self._past is None:
            written = await self._repo.written(self._head)
            # In a thread: hundreds of commits may tell of hundreds of workloads each.
            self._past = await asyncio.to_thread(_read, written)
        return self._past

    async def again(self, done: Sequence[ImagesFound], cause: Envelope) -> None:
        """Tell the commits by which updates that are there already were written."""
        left = {(one.workload, one.container, one.chosen) for one in done}
        for one in await self.past() if left else ():
            changes = {
                (workload, change.container, change.target)
                for workload, result in one.told.result.items()
                for change in result.changes
            }
            if changes & left:
                left -= changes
                self.pushed(one, cause=cause, who=Cause())

    def pushed(self, one: Written, *, cause: Envelope, who: Cause) -> None:
        """Tell a commit, once."""
        if one.revision in self._told:
            return
        self._told.add(one.revision)
        message = UpdatePushed(
            repository=self._repository,
            revision=one.revision,
            previous=one.parent,
            message=one.message,
            kind=one.told.kind,
            result=one.told.result,
            cause=who,
        )
        # The same commit told twice is the same fact.
        identity = str(uuid5(NAMESPACE_URL, f"update.pushed/{self._repository}/{one.revision}"))
        self.events.append(Draft(message=message, cause=cause, id=identity))

    def completed(
        self, order: Envelope, revision: str, result: Mapping[str, WorkloadResult]
    ) -> None:
        """Tell an order that was carried out."""
        message = OrderCompleted(
            order=order.id, about=self._repository, revision=revision, result=result
        )
        self.events.append(Draft(message=message, cause=order))

    def rejected(self, one: ImagesFound, reason: str, cause: Envelope) -> None:
        """Tell an update that is not written."""
        message = UpdateRejected(
            repository=self._repository,
            workload=one.workload,
            container=one.container,
            chosen=one.chosen,
            reason=reason,
        )
        self.events.append(Draft(message=message, cause=cause))


def _read(written: Sequence[tuple[str, str, str]]) -> list[Written]:
    return [
        Written(revision=revision, parent=parent, message=message, told=told)
        for revision, parent, message in written
        if (told := trailers.read(message)) is not None
    ]
