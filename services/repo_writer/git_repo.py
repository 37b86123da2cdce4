"""A branch behind `ports.Repo`, on the mirror that git-watcher uses as well."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from services.repo_writer.domain.state import State, Workload
from services.repo_writer.settings import Place, Repository
from shared.git.identity import host
from shared.git.mirror import Mirror
from shared.manifests import Policies, containers, load

LOG_DEPTH = 100
"""Commits that are searched for what was written already; a redelivery is seconds old."""
SLICE = 50
"""Files that are parsed in one go in a thread, so that the event loop gets its turns."""

Parsed = tuple[Workload, ...]


class GitRepo:
    """Implements `ports.Repo`."""

    def __init__(self, mirror: Mirror, repository: Repository) -> None:
        self.host = host(repository.git.url)
        self.readonly = repository.git.readonly
        self._mirror = mirror
        self._git = repository.git
        self._places = repository.places
        self._parsed: dict[tuple[str, str, str], Parsed] = {}

    async def fetch(self) -> str:
        """Return the head of the branch, as the host has it now."""
        return await self._mirror.fetch()

    async def state(self, revision: str) -> State:
        """Return what *revision* declares; each blob is parsed once."""
        state: dict[str, Workload] = {}
        used: dict[tuple[str, str, str], Parsed] = {}
        for place in self._places:
            for key, parsed in await self._of_place(revision, place):
                used[key] = parsed
                for workload in parsed:
                    state.setdefault(str(workload.id), workload)
        self._parsed = used
        return state

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

    async def messages(self, revision: str) -> Sequence[tuple[str, str, str]]:
        """Return the newest commits up to *revision*."""
        log = await self._mirror.log(revision, LOG_DEPTH)
        parents = [commit.revision for commit in log[1:]] + [""]
        return [
            (commit.revision, parent, commit.message)
            for commit, parent in zip(log, parents, strict=True)
        ]

    async def _of_place(
        self, revision: str, place: Place
    ) -> list[tuple[tuple[str, str, str], Parsed]]:
        files = await self._mirror.files(revision, place.paths)
        keys = [
            (path, blob, place.default_namespace)
            for path, blob in files
            if path.endswith((".yaml", ".yml"))
        ]
        new = [key for key in keys if key not in self._parsed]
        for start in range(0, len(new), SLICE):
            some = new[start : start + SLICE]
            data = [await self._mirror.blob(blob) for _, blob, _ in some]
            parsed = await asyncio.to_thread(_parse, some, data)
            self._parsed.update(zip(some, parsed, strict=True))
        return [(key, self._parsed[key]) for key in keys]


def _parse(keys: Iterable[tuple[str, str, str]], data: Iterable[bytes]) -> list[Parsed]:
    return [
        tuple(_workloads(path, text, namespace))
        for (path, _, namespace), text in zip(keys, data, strict=True)
    ]


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
                containers={container.name: container.image for container in found},
                policies=Policies.of(declared.object),
            )
