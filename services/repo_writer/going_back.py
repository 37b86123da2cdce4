"""
Which of the updates found were written before, and undone by people since.

Their tags are held: what a person has gone back from is not written again by itself. Our own
commits tell what they wrote. Where people merge them, and their host may make one commit of many in
words of its own, the files tell it: what they once had, and have no more.
"""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from services.repo_writer.domain.automated import States
from services.repo_writer.domain.reading import File, read
from services.repo_writer.domain.rollback import Past, tag_of, writer_of
from services.repo_writer.domain.state import Spot, Workload
from services.repo_writer.ports import Repo
from shared.contract import ImagesFound
from shared.manifests.holds import Hold, holds
from shared.runtime.errors import PermanentError


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An update that is not written."""

    one: ImagesFound
    workload: Workload
    hold: Hold
    known: bool
    """Whether it stands in its annotation already."""

    @property
    def why(self) -> str:
        """For people."""
        return f"held: {self.hold.tag}" + (f" {self.hold.reason}" if self.hold.reason else "")


CHANGES = 20
"""Of a file, that are looked at to find a tag that it once had."""


async def held(
    wanted: Collection[tuple[ImagesFound, Spot]],
    states: States,
    past: Past,
    repo: Repo,
    tip: str,
) -> list[Held]:
    """Return those of *wanted* that people went back from."""
    found = []
    files = {spot.file for _, spot in wanted if spot.folder is None}
    changes = await repo.before(tip, files) if repo.aside and files else {}
    for one, spot in wanted:
        workload = states[one.sync].workloads[one.workload]
        hold = holds(workload.policies).get(one.container)
        if hold and hold.tag == tag_of(one.chosen):
            found.append(Held(one=one, workload=workload, hold=hold, known=True))
            continue
        revision = writer_of(one.workload, one.container, one.chosen, past)
        if not revision or not await _was_there(revision, one, workload, repo):
            before = () if spot.folder is not None else changes.get(spot.file, ())
            revision = await _last_there(before[:CHANGES], one, workload, repo)
        if revision:
            hold = Hold(tag=tag_of(one.chosen), reason=f"written in {revision[:7]} and reverted")
            found.append(Held(one=one, workload=workload, hold=hold, known=False))
    return found


async def _last_there(
    revisions: Iterable[str], one: ImagesFound, workload: Workload, repo: Repo
) -> str:
    """Return where it was last declared; none if it was held since: a person ended that."""
    for revision in revisions:
        for was in await _workloads(revision, workload, repo):
            hold = holds(was.policies).get(one.container)
            if hold and hold.tag == tag_of(one.chosen):
                return ""
            if was.containers.get(one.container) == one.chosen:
                return revision
    return ""


async def _was_there(revision: str, one: ImagesFound, workload: Workload, repo: Repo) -> bool:
    """Tell whether *revision* wrote it to this file: another sync may have a workload of its id."""
    there = await _workloads(revision, workload, repo)
    return any(was.containers.get(one.container) == one.chosen for was in there)


async def _workloads(revision: str, workload: Workload, repo: Repo) -> list[Workload]:
    """Return the workload as it was at *revision*; none where it was not."""
    try:
        file = await _as_it_was(revision, workload, repo)
    except PermanentError:
        return []
    return [was for was in file.workloads if was.id == workload.id]


async def _as_it_was(revision: str, workload: Workload, repo: Repo) -> File:
    """Return what declared the workload, as it was at *revision*."""
    namespace = workload.default_namespace
    if workload.folder is not None:
        return await repo.generated(revision, workload.folder, namespace)
    data = await repo.text(revision, workload.file)
    return await asyncio.to_thread(read, workload.file, data, namespace)
