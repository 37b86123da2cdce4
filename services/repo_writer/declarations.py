"""
What the syncs of a repository declare, revision by revision; each blob is parsed once.

From one revision to the next only what has changed is looked at: the cost of an update must not
grow with the repository. What goes through all files runs in threads.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from posixpath import basename

from services.repo_writer.domain.following import updated
from services.repo_writer.domain.reading import File, read
from services.repo_writer.domain.state import State
from services.repo_writer.generated import Folders
from services.repo_writer.settings import Place
from shared.git.mirror import Mirror
from shared.manifests.files import manifests
from shared.manifests.flux_yaml import NAME
from shared.runtime.errors import PermanentError

SLICE = 50
"""Files that are parsed in one go in a thread, so that the event loop gets its turns."""

Key = tuple[str, str, str]
"""Path, blob and default namespace."""

_CHARTS = ("Chart.yaml", "values.yaml", NAME)
"""Whose coming and going changes what the files beside them are."""


class Declarations:
    """Reads them from a mirror."""

    def __init__(self, mirror: Mirror, places: Sequence[Place], folders: Folders) -> None:
        self._mirror = mirror
        self._places = places
        self._folders = folders
        self._revision = ""
        self._parsed: dict[Key, File] = {}
        self._keys: dict[str, dict[str, Key]] = {}
        """By sync and path."""
        self._states: dict[frozenset[str], State] = {}

    async def state(self, revision: str, syncs: Collection[str] = ()) -> State:
        """
        Return what *syncs* (or all) declare at *revision*.

        Raises:
            TemporaryError: the renderer, which is needed for that, is not there.
        """
        plain = await self._plain(revision, syncs)
        generated = await self._folders.state(revision, syncs)
        return plain.joined(generated) if generated else plain

    async def _plain(self, revision: str, syncs: Collection[str]) -> State:
        """Return what stands in files."""
        if self._revision != revision and not await self._follow(revision):
            await self._read(revision)
        wanted = frozenset(syncs)
        if wanted not in self._states:
            self._states[wanted] = await asyncio.to_thread(self._put_together, wanted)
        return self._states[wanted]

    async def _follow(self, revision: str) -> bool:
        """Go to *revision* by what differs; False if that would not be right."""
        changed = await self._mirror.changed(self._revision, revision) if self._revision else None
        if changed is None or any(basename(path) in _CHARTS for path, _ in changed):
            return False
        moved = {
            old: (path, blob, old[2]) if blob else None
            for path, blob in changed
            for keys in self._keys.values()
            if (old := keys.get(path)) and old[1] != blob
        }
        read_ = await self._parse([new for new in moved.values() if new])
        for wanted, state in [*self._states.items()]:
            self._update(wanted, state, moved, read_)
        self._parsed |= read_
        for old, new in moved.items():
            self._parsed.pop(old)
            for keys in self._keys.values():
                if keys.get(old[0]) != old:
                    continue
                if new:
                    keys[old[0]] = new  # in its place: of two workloads the first one counts
                else:
                    del keys[old[0]]
        self._revision = revision
        return True

    def _update(
        self,
        wanted: frozenset[str],
        state: State,
        moved: Mapping[Key, Key | None],
        new: Mapping[Key, File],
    ) -> None:
        some = [keys for sync, keys in self._keys.items() if not wanted or sync in wanted]
        ours = [old for old in moved if any(keys.get(old[0]) == old for keys in some)]
        gone = [self._parsed[old] for old in ours]
        come = [new[key] for old in ours if (key := moved[old])]
        after = updated(state, gone, come)
        if after is None:
            del self._states[wanted]
        else:
            self._states[wanted] = after

    async def _read(self, revision: str) -> None:
        keys = {place.sync: await self._keys_of(revision, place) for place in self._places}
        known = await asyncio.to_thread(_known, keys.values(), self._parsed)
        new = [key for key, file in known.items() if file is None]
        found = {key: file for key, file in known.items() if file is not None}
        found |= await self._parse(new)
        self._parsed, self._keys, self._states = found, keys, {}
        self._revision = revision

    async def _keys_of(self, revision: str, place: Place) -> dict[str, Key]:
        namespace, files = place.default_namespace, []
        for path in await self._folders.plain(revision, place):
            with suppress(PermanentError):  # a path that is not there spoils only itself
                files += await self._mirror.files(revision, [path] if path else [])
        return await asyncio.to_thread(
            lambda: {path: (path, blob, namespace) for path, blob in manifests(files)}
        )

    async def _parse(self, keys: Sequence[Key]) -> dict[Key, File]:
        found: dict[Key, File] = {}
        for start in range(0, len(keys), SLICE):
            some = keys[start : start + SLICE]
            data = await self._mirror.blobs([blob for _, blob, _ in some])
            found |= await asyncio.to_thread(_parsed, some, data)
        return found

    def _put_together(self, syncs: frozenset[str]) -> State:
        keys = {
            key: None
            for sync, some in self._keys.items()
            if not syncs or sync in syncs
            for key in some.values()
        }
        files = [self._parsed[key] for key in keys]
        return State.of(
            (one for file in files for one in file.workloads),
            (one for file in files for one in file.unread),
        )


def _parsed(keys: Iterable[Key], data: Iterable[bytes]) -> dict[Key, File]:
    return {
        (path, blob, namespace): read(path, text, namespace)
        for (path, blob, namespace), text in zip(keys, data, strict=True)
    }


def _known(keys: Iterable[Mapping[str, Key]], parsed: Mapping[Key, File]) -> dict[Key, File | None]:
    return {key: parsed.get(key) for some in keys for key in some.values()}
