"""
Gets a group onto the branch: built, pushed by compare-and-swap, and built anew where others won.

It ends when everything has landed, is no longer wanted, or was refused in the words of the host.
"""

import asyncio
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace

import structlog
from prometheus_client import Counter

from services.repo_writer import batch
from services.repo_writer.batch import Batch
from services.repo_writer.ports import Registry, Repo
from services.repo_writer.refusals import Refusals
from shared.bus.port import Outcome
from shared.contract import (
    Draft,
    Envelope,
    ImagesFound,
    PlanMade,
    PlanQuestion,
    UpdatePushed,
    UpdateRequested,
)
from shared.runtime import faults
from shared.runtime.errors import PermanentError

logger = structlog.get_logger(__name__)

STUCK = 5
"""Lost races on one head, after which the host is wrong in saying that there was one."""

MOST = 5
"""Doublings of the pause between two attempts ..."""
LONGEST = 10.0
"""... and its end, in seconds."""

COMMITS = Counter("flux_repo_writer_commits_total", "Commits that landed", ["kind"])
RACES = Counter("flux_repo_writer_lost_races_total", "Pushes refused because the branch moved")


class Writer:
    """Writes to one branch."""

    def __init__(self, repository: str, repo: Repo, registry: Registry, refusals: Refusals) -> None:
        self._repository = repository
        self._repo = repo
        self._registry = registry
        self._refusals = refusals

    async def write(self, messages: Sequence[Envelope]) -> Outcome:
        """Write what is wanted of *messages*, or say why not."""
        refused, lost = "", list[str]()
        clock = asyncio.get_running_loop().time
        while True:
            begin = clock()
            built = await self._build(messages, refused)
            try:
                if await self._land(built):
                    return Outcome(events=await self._told(built), failed=built.failed)
                lost.append(built.head)
                self._check_moves(lost)
            except PermanentError as error:
                # A rule of the host may concern one commit only: then the others go without it.
                parts = _apart(messages)
                if len(parts) > 1:
                    return await self._one_by_one(parts)
                refused = str(error)
                self._refusals.add(self._repository, built.head, _found(messages), refused)
                continue
            RACES.inc()
            logger.info("branch moved, building anew", lost=len(lost))
            await asyncio.sleep(_pause(clock() - begin, len(lost)))

    async def _told(self, built: Batch) -> tuple[Draft, ...]:
        if not self._repo.aside:
            return tuple(built.telling.events)
        url = await self._repo.propose(built.tip)
        return tuple(_waiting(one, self._repo.aside, url) for one in built.telling.events)

    async def _one_by_one(self, parts: Iterable[Sequence[Envelope]]) -> Outcome:
        done = [await self.write(part) for part in parts]
        return Outcome(
            events=tuple(event for one in done for event in one.events),
            failed={key: error for one in done for key, error in one.failed.items()},
        )

    def _check_moves(self, lost: Sequence[str]) -> None:
        """Give up on a host that says that the branch has moved when it has not."""
        if len(lost) >= STUCK and len(set(lost[-STUCK:])) == 1:
            reason = "says that the branch has moved, and it has not; is it hidden from who pushes?"
            raise PermanentError(f"git host {self._repo.host} {reason}")

    async def _build(self, messages: Sequence[Envelope], refused: str) -> Batch:
        head = await self._repo.fetch()
        await faults.reach("fetch.after")
        updates = _found(messages)
        if len(updates) == len(messages):
            refused = refused or self._refusals.reason(self._repository, head, updates)
        built = Batch(self._repository, self._repo, self._registry, head, refused=refused)
        found = []
        for envelope in messages:
            match envelope.message:
                case UpdateRequested() as order:
                    await built.add_order(envelope, order)
                case ImagesFound() as one:
                    found.append((envelope, one))
                case PlanQuestion() as question:
                    answer = await self._answer(question, envelope, built.tip)
                    built.telling.events.append(answer)
        if found:
            await built.add_found(found)
        return built

    async def _land(self, built: Batch) -> bool:
        if built.made:
            await faults.reach("push.before")
            landed = await self._repo.push(built.tip, expected=built.head, notes=built.notes)
            if not landed:
                return False
            await faults.reach("push.after")
        for revision, kind in built.made.items():
            COMMITS.labels(kind).inc()
            logger.info("pushed", revision=revision, kind=kind)
        return True

    async def _answer(self, question: PlanQuestion, envelope: Envelope, tip: str) -> Draft:
        """Answer what an update would change."""
        try:
            made = await batch.plan(
                question.spec, await self._repo.state(tip, question.syncs), self._registry
            )
        except PermanentError as error:
            return Draft(message=PlanMade(error=str(error)), cause=envelope)
        return Draft(message=PlanMade(result=made.result), cause=envelope)


def _pause(attempt: float, lost: int) -> float:
    """
    Return how long to leave the branch to others, by how long an attempt takes.

    With many writers each must wait for as many attempts as there are others, or all lose again.
    """
    return random.uniform(0, min(attempt * 2 ** min(lost, MOST), LONGEST))  # noqa: S311 - jitter


def _waiting(draft: Draft, branch: str, url: str) -> Draft:
    if not isinstance(draft.message, UpdatePushed):
        return draft
    update = {"branch": branch, "pull_request": url}
    return replace(draft, message=draft.message.model_copy(update=update))


def _found(messages: Sequence[Envelope]) -> list[ImagesFound]:
    return [one.message for one in messages if isinstance(one.message, ImagesFound)]


def _apart(messages: Sequence[Envelope]) -> list[list[Envelope]]:
    """Return every order by itself, and last all that becomes one commit, or none."""
    orders = [[one] for one in messages if isinstance(one.message, UpdateRequested)]
    rest = [one for one in messages if not isinstance(one.message, UpdateRequested)]
    return [*orders, rest] if rest else orders
