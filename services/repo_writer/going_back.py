"""
Which of the updates found were written before, and undone by people since.

Their tags are held: what a person has gone back from is not written again by itself.
"""

import asyncio
from collections.abc import Iterable
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


async def held(
    wanted: Iterable[tuple[ImagesFound, Spot]], states: States, past: Past, repo: Repo
) -> list[Held]:
    """Return those of *wanted* that people went back from."""
    found = []
    for one, _ in wanted:
        workload = states[one.sync].workloads[one.workload]
        hold = holds(workload.policies).get(one.container)
        if hold and hold.tag == tag_of(one.chosen):
            found.append(Held(one=one, workload=workload, hold=hold, known=True))
            continue
        revision = writer_of(one.workload, one.container, one.chosen, past)
        if revision and await _was_there(revision, one, workload, repo):
            hold = Hold(tag=tag_of(one.chosen), reason=f"written in {revision[:7]} and reverted")
            found.append(Held(one=one, workload=workload, hold=hold, known=False))
    return found


async def _was_there(revision: str, one: ImagesFound, workload: Workload, repo: Repo) -> bool:
    """Tell whether *revision* wrote it to this file: another sync may have a workload of its id."""
    try:
        file = await _as_it_was(revision, workload, repo)
    except PermanentError:
        return False
    return any(
        was.id == workload.id and was.containers.get(one.container) == one.chosen
        for was in file.workloads
    )


async def _as_it_was(revision: str, workload: Workload, repo: Repo) -> File:
    """Return what declared the workload, as it was at *revision*."""
    namespace = workload.default_namespace
    if workload.folder is not None:
        return await repo.generated(revision, workload.folder, namespace)
    data = await repo.text(revision, workload.file)
    return await asyncio.to_thread(read, workload.file, data, namespace)
