"""
The workloads that generators print, and which folders are theirs; see `shared.rendering`.

A folder that can't be generated is a problem that is told where one of its workloads is missed.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

from services.repo_writer.domain.reading import File, taken
from services.repo_writer.domain.state import State
from services.repo_writer.settings import Place
from shared.manifests import Loaded, Problem
from shared.rendering.generators import Generated, GenerationError, Generators, Governed, Read
from shared.runtime.errors import PermanentError

KEPT = 64
"""Folders and trees whose workloads are remembered."""
READ = 4
"""The same of whole objects, which take far more memory."""


class Readings:
    """What was printed, read once: the state of a revision and the next update need the same."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, str], tuple[Generated, Read]] = {}

    async def of(self, generated: Generated, namespace: str) -> Read:
        """Return what *generated* says."""
        key = id(generated), namespace
        if key not in self._known:
            self._known[key] = generated, await asyncio.to_thread(generated.read, namespace)
            _forget(self._known, READ)
        return self._known[key][1]


class Folders:
    """The folders of the syncs of one repository."""

    def __init__(self, generators: Generators, readings: Readings, places: Sequence[Place]) -> None:
        self._generators = generators
        self._readings = readings
        self._places = [place for place in places if place.manifest_generation]
        self._files: dict[tuple[int, str], tuple[Generated, File]] = {}
        """By what was generated, whose id is no other's as long as we have it, and namespace."""

    async def plain(self, revision: str, place: Place) -> list[str]:
        """Return the paths of *place* that are read file by file."""
        paths = [*(place.paths or ("",))]
        if not place.manifest_generation:
            return paths
        return [path for path in paths if await self._is_plain(revision, path)]

    async def state(self, revision: str, syncs: Collection[str]) -> State | None:
        """
        Return what generators print for *syncs* (or all); None where there are none.

        Raises:
            TemporaryError: the renderer is not there.
        """
        files = [
            file
            for place in self._places
            if not syncs or place.sync in syncs
            for path in place.paths or ("",)
            if (file := await self._at(revision, path, place.default_namespace)) is not None
        ]
        if not files:
            return None
        return State.of(
            (one for file in files for one in file.workloads),
            (one for file in files for one in file.unread),
        )

    async def file(self, revision: str, folder: str, default_namespace: str) -> File:
        """
        Return what is printed in *folder*.

        Raises:
            PermanentError: the commands fail, or there are none.
            TemporaryError: the renderer is not there.
        """
        governed = await self._generators.governed(revision, folder)
        if governed is None:
            raise PermanentError(f"nothing is generated in {folder or '.'}")
        return await self._taken(revision, governed, default_namespace)

    async def _is_plain(self, revision: str, path: str) -> bool:
        try:
            return await self._generators.governed(revision, path) is None
        except GenerationError:
            return False

    async def _at(self, revision: str, path: str, namespace: str) -> File | None:
        try:
            governed = await self._generators.governed(revision, path)
            return await self._taken(revision, governed, namespace) if governed else None
        except GenerationError as error:
            return File(unread=(Problem(file=error.file, line=None, message=error.reason),))

    async def _taken(self, revision: str, governed: Governed, namespace: str) -> File:
        generated = await self._generators.generated(revision, governed)
        key = id(generated), namespace
        if key not in self._files:
            read = await self._readings.of(generated, namespace)
            loaded = Loaded(objects=read.declared, problems=read.problems)
            file = await asyncio.to_thread(taken, loaded, namespace, governed.folder)
            self._files[key] = generated, file
            _forget(self._files, KEPT)
        return self._files[key][1]


def _forget(known: dict[tuple[int, str], Any], kept: int) -> None:
    for old in [*known][:-kept]:
        del known[old]
