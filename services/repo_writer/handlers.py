"""
All that waits for one repository becomes commits on its head, pushed by compare-and-swap.

Refused because the branch moved: everything is planned and built anew on the new head, never
merged and never forced. So nothing is lost, and nothing is written that is no longer wanted.
"""

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence

import structlog
from prometheus_client import Counter

from services.repo_writer import batch
from services.repo_writer.batch import Batch
from services.repo_writer.ports import Registry, Repo
from shared.bus.port import Outcome
from shared.contract import (
    Draft,
    Envelope,
    ImagesFound,
    PlanMade,
    PlanQuestion,
    SyncCompleted,
    UpdateRequested,
)
from shared.runtime import faults
from shared.runtime.errors import FluxError, PermanentError

logger = structlog.get_logger(__name__)

COMMITS = Counter("flux_repo_writer_commits_total", "Commits that landed", ["kind"])
RACES = Counter("flux_repo_writer_lost_races_total", "Pushes refused because the branch moved")


async def on_group(
    repository: str,
    messages: Sequence[Envelope],
    *,
    repos: Mapping[str, Repo],
    registry: Registry,
) -> Outcome:
    """Write what is wanted of *repository*, or say why not; then mark how far its syncs are."""
    repo = repos.get(repository)
    if repo is None:
        raise PermanentError(f"no sync of flux.yaml writes to {repository}")
    marks = [one.message for one in messages if isinstance(one.message, SyncCompleted)]
    rest = [one for one in messages if not isinstance(one.message, SyncCompleted)]
    outcome = await _write(repository, rest, repo, registry) if rest else Outcome()
    await _mark(marks, repo)
    return outcome


async def _mark(completed: Iterable[SyncCompleted], repo: Repo) -> None:
    latest = {one.sync: one.revision for one in completed}
    for sync, revision in latest.items():
        if repo.is_marked(sync, revision):
            continue
        try:
            await repo.mark(sync, revision, head=await repo.fetch())
        except FluxError as error:
            # It is told again every few minutes, and nobody waits for a tag.
            logger.warning("sync tag not moved", sync=sync, reason=str(error))


async def _write(
    repository: str, messages: Sequence[Envelope], repo: Repo, registry: Registry
) -> Outcome:
    refused, lost = "", 0
    while True:
        built = await _build(repository, messages, repo, registry, refused)
        try:
            landed = await _land(built, repo)
        except PermanentError as error:
            # A rule of the host may concern one commit only: then the others go without it.
            parts = _apart(messages)
            if len(parts) > 1:
                return await _one_by_one(repository, parts, repo, registry)
            refused = str(error)
            continue
        if landed:
            return Outcome(events=tuple(built.telling.events), failed=built.failed)
        RACES.inc()
        lost += 1
        logger.info("branch moved, building anew", lost=lost)
        await asyncio.sleep(random.uniform(0, 0.05 * 2 ** min(lost, 5)))  # noqa: S311 - jitter


def _apart(messages: Sequence[Envelope]) -> list[list[Envelope]]:
    """Return every order by itself, and last all that becomes one commit, or none."""
    orders = [[one] for one in messages if isinstance(one.message, UpdateRequested)]
    rest = [one for one in messages if not isinstance(one.message, UpdateRequested)]
    return [*orders, rest] if rest else orders


async def _one_by_one(
    repository: str,
    parts: Iterable[Sequence[Envelope]],
    repo: Repo,
    registry: Registry,
) -> Outcome:
    done = [await _write(repository, part, repo, registry) for part in parts]
    return Outcome(
        events=tuple(event for one in done for event in one.events),
        failed={key: error for one in done for key, error in one.failed.items()},
    )


async def _build(
    repository: str, messages: Sequence[Envelope], repo: Repo, registry: Registry, refused: str
) -> Batch:
    built = Batch(repository, repo, registry, await repo.fetch(), refused=refused)
    found = []
    for envelope in messages:
        match envelope.message:
            case UpdateRequested() as order:
                await built.add_order(envelope, order)
            case ImagesFound() as one:
                found.append((envelope, one))
            case PlanQuestion() as question:
                answer = await _answer(question, envelope, built.tip, repo, registry)
                built.telling.events.append(answer)
    if found:
        await built.add_found(found)
    return built


async def _land(built: Batch, repo: Repo) -> bool:
    if built.made:
        await faults.reach("push.before")
        if not await repo.push(built.tip, expected=built.head, notes=built.notes):
            return False
        await faults.reach("push.after")
    for revision, kind in built.made.items():
        COMMITS.labels(kind).inc()
        logger.info("pushed", revision=revision, kind=kind)
    return True


async def _answer(
    question: PlanQuestion, envelope: Envelope, tip: str, repo: Repo, registry: Registry
) -> Draft:
    """Answer what an update would change."""
    try:
        made = await batch.plan(question.spec, await repo.state(tip, question.syncs), registry)
    except PermanentError as error:
        return Draft(message=PlanMade(error=str(error)), cause=envelope)
    return Draft(message=PlanMade(result=made.result), cause=envelope)
