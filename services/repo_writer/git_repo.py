"""A branch behind `ports.Repo`, on the mirror that git-watcher uses as well."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from services.repo_writer.domain.state import State, Workload
from services.repo_writer.settings import Place, Repository
from shared.git.identity import host
from shared.git.mirror import Mirror
from shared.manifests import Container, Policies, containers, load
from shared.manifests.files import manifests
from shared.runtime.errors import PermanentError

LOG_DEPTH = 500
"""Commits that are searched for what was written already; a redelivery is seconds old."""
SLICE = 50
"""Files that are parsed in one go in a thread, so that the event loop gets its turns."""

Key = tuple[str, str, str]
"""Path, blob and default namespace."""
Parsed = tuple[Workload, ...]


class GitRepo:
    """Implements `ports.Repo`."""

    def __init__(self, mirror: Mirror, repository: Repository) -> None:
        self.host = host(repository.git.url)
        self.readonly = repository.git.readonly
        self.ci_skip = repository.git.ci_skip_message or "[ci skip]" * repository.git.ci_skip
        self._mirror = mirror
        self._git = repository.git
        self._places = repository.places
        self._parsed: dict[Key, Parsed] = {}
        self._state: tuple[str, State] = ("", {})

    async def fetch(self) -> str:
        """Return the head of the branch, as the host has it now."""
        return await self._mirror.fetch()

    async def state(self, revision: str) -> State:
        """Return what *revision* declares; each blob is parsed once."""
        if self._state[0] == revision:
            return self._state[1]
        found: dict[Key, Parsed] = {}
        for place in self._places:
            keys = await self._keys(revision, place)
            new = await asyncio.to_thread(_unknown, keys, self._parsed)
            for start in range(0, len(new), SLICE):
                await self._parse(new[start : start + SLICE])
            await asyncio.to_thread(_take, keys, self._parsed, found)
        self._parsed = found
        self._state = (revision, await asyncio.to_thread(_state, found))
        return self._state[1]

    async def text(self, revision: str, file: str) -> bytes:
        """Return a file as it is at *revision*."""
        return await self._mirror.read(revision, file)

    async def commit(self, parent: str, files: Mapping[str, bytes], message: str) -> str:
        """Make a commit on *parent*, in the mirror only."""
        return await self._mirror.commit(
            parent, files, message, name=self._git.user, email=self._git.email
        )

    async def push(self, revision: str, *, expected: str) -> bool:
        """Move the branch from *expected* to *revision*."""
        return await self._mirror.push(revision, expected)

    async def written(self, revision: str) -> Sequence[tuple[str, str, str]]:
        """Return our newest commits that *revision* contains."""
        recent = await self._mirror.recent(
            revision, LOG_DEPTH, name=self._git.user, email=self._git.email
        )
        return [(commit.revision, parent, commit.message) for commit, parent in recent]

    async def _keys(self, revision: str, place: Place) -> list[Key]:
        namespace, files = place.default_namespace, []
        for path in place.paths or ("",):
            with suppress(PermanentError):  # a path that is not there spoils only itself
                files += await self._mirror.files(revision, [path] if path else [])
        return await asyncio.to_thread(
            lambda: [(path, blob, namespace) for path, blob in manifests(files)]
        )

    async def _parse(self, keys: Sequence[Key]) -> None:
        data = await self._mirror.blobs([blob for _, blob, _ in keys])
        parsed = await asyncio.to_thread(_parsed, keys, data)
        self._parsed.update(zip(keys, parsed, strict=True))


def _parsed(keys: Iterable[Key], data: Iterable[bytes]) -> list[Parsed]:
    return [
        tuple(_workloads(path, text, namespace))
        for (path, _, namespace), text in zip(keys, data, strict=True)
    ]


# What goes through all files runs in threads: some milliseconds for 10,000 of them.


def _unknown(keys: Iterable[Key], known: Mapping[Key, Parsed]) -> list[Key]:
    return [key for key in keys if key not in known]


def _take(keys: Iterable[Key], known: Mapping[Key, Parsed], into: dict[Key, Parsed]) -> None:
    into.update((key, known[key]) for key in keys)


def _state(found: Mapping[Key, Parsed]) -> State:
    state: dict[str, Workload] = {}
    for workloads in found.values():
        for workload in workloads:
            state.setdefault(str(workload.id), workload)
    return state


def _workloads(path: str, text: bytes, namespace: str) -> Iterable[Workload]:
    if b"image" not in text:  # most files of most repositories, and reading YAML is slow
        return
    for declared in load(text, file=path, default_namespace=namespace).objects:
        found = containers(declared.object)
        if found:
            yield Workload(
                id=declared.workload_id,
                file=path,
                default_namespace=namespace,
                containers=_images(found),
                policies=Policies.of(declared.object),
            )


def _images(found: Iterable[Container]) -> Mapping[str, str]:
    """Return the images by container; of two with one name the first counts, as for an edit."""
    images: dict[str, str] = {}
    for container in found:
        images.setdefault(container.name, container.image)
    return images
