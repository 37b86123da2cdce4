"""
The folders of a sync whose manifests programs print.

While a folder can't be generated, what it declared before stays, and the problem is told: nothing
is pruned then, and the other folders go on.
"""

import asyncio
from dataclasses import dataclass, replace

import structlog

from services.git_watcher.settings import SyncSettings
from shared.bundle import render
from shared.bundle.render import File
from shared.contract import Problem
from shared.manifests import Loaded
from shared.rendering.generators import Generated, GenerationError, Generators, Governed
from shared.runtime.errors import FluxError, TemporaryError

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a folder declares by its generators."""

    file: File
    failure: FluxError | None = None
    """Why it is no more than what it declared before."""


class Generating:
    """Generates folders of one branch, and remembers what came of it last."""

    def __init__(self, generators: Generators) -> None:
        self._generators = generators
        self._before: dict[tuple[str, str], tuple[Generated, File]] = {}
        """By the digest of a sync's settings, and its folder."""
        self._told: set[tuple[str, str]] = set()

    async def made(
        self, sync: SyncSettings, revision: str, path: str, mark_set: str
    ) -> Made | None:
        """Return what *path* declares by its generators; None: it is its files that count."""
        if not sync.manifest_generation:
            await self._tell_ignored(sync, revision, path)
            return None
        try:
            governed = await self._generators.governed(revision, path)
            if governed is None:
                return None
            return await self._fresh(sync, revision, path, governed, mark_set)
        except GenerationError as error:
            return self._stale(sync, path, Problem(file=error.file, message=error.reason), error)
        except TemporaryError as error:
            return self._stale(sync, path, Problem(file=path, message=str(error)), error)

    async def _fresh(
        self, sync: SyncSettings, revision: str, path: str, governed: Governed, mark_set: str
    ) -> Made:
        generated = await self._generators.generated(revision, governed)
        before = self._before.get((sync.digest, path))
        if before and before[0] == generated:  # the commit was about something else
            return Made(file=before[1])
        read = await asyncio.to_thread(generated.read, sync.default_namespace)
        loaded = Loaded(objects=read.declared, problems=read.problems)
        file = await asyncio.to_thread(
            render.encoded, loaded, mark_set=mark_set, sealer=sync.sealer
        )
        self._before[sync.digest, path] = generated, file
        return Made(file=file)

    def _stale(self, sync: SyncSettings, path: str, problem: Problem, error: FluxError) -> Made:
        before = self._before.get((sync.digest, path))
        file = replace(before[1] if before else File(), problems=(problem,))
        return Made(file=file, failure=error)

    async def _tell_ignored(self, sync: SyncSettings, revision: str, path: str) -> None:
        if (sync.name, path) in self._told:
            return
        try:
            governed = await self._generators.governed(revision, path)
        except GenerationError:
            return
        if governed is not None:
            self._told.add((sync.name, path))
            remedy = "set git.manifest_generation, or remove the file"
            logger.warning("generators not run", sync=sync.name, file=governed.file, remedy=remedy)
