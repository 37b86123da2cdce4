"""
All that waits for one repository: `writer` gets it onto the branch, and the sync tag follows.

Refused because the branch moved, everything is planned and built anew on the new head, never merged
and never forced. So nothing is lost, and nothing is written that is no longer wanted.
"""

from collections.abc import Iterable, Mapping, Sequence

import structlog

from services.repo_writer.ports import Registry, Repo
from services.repo_writer.refusals import Refusals
from services.repo_writer.writer import Writer
from shared.bus.port import Outcome
from shared.contract import Envelope, SyncCompleted
from shared.runtime.errors import FluxError, PermanentError

logger = structlog.get_logger(__name__)


async def on_group(
    repository: str,
    messages: Sequence[Envelope],
    *,
    repos: Mapping[str, Repo],
    registry: Registry,
    refusals: Refusals,
) -> Outcome:
    """Write what is wanted of *repository*, or say why not; then mark how far its syncs are."""
    repo = repos.get(repository)
    if repo is None:
        raise PermanentError(f"no sync of flux.yaml writes to {repository}")
    marks = [one.message for one in messages if isinstance(one.message, SyncCompleted)]
    rest = [one for one in messages if not isinstance(one.message, SyncCompleted)]
    writer = Writer(repository, repo, registry, refusals)
    outcome = await writer.write(rest) if rest else Outcome()
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
