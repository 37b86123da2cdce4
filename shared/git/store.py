"""
A bare repository on disk, and everything done with it that needs no network.

pygit2 runs in threads, one operation at a time. `objects` and `history` are what it does there.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import pygit2

from shared.contract import Commit
from shared.git import history, objects, rebasing, trees
from shared.git.memo import memo
from shared.git.objects import Sign
from shared.git.serial import Serial
from shared.runtime.errors import TemporaryError

T = TypeVar("T")

FAILURES = 3
"""Transfers in a row that fail before the folder itself is suspected."""
MERGES = 100
"""Commits of a branch that are searched for what had waited for it."""
LIBRARY = (pygit2.GitError, OSError, KeyError, ValueError, LookupError)
"""What pygit2 raises."""

Person = tuple[str, str]
"""Name and address."""


class Store:
    """A repository in *directory*. Revisions and blobs are hexadecimal ids."""

    def __init__(self, directory: Path, repository: pygit2.Repository) -> None:
        self._directory = directory
        self._repository = repository
        self._serial = Serial()
        self._failures = 0
        self._height = ("", 0)

    async def files(self, revision: str, paths: Sequence[str]) -> list[tuple[str, str]]:
        """Return path and blob of every file below *paths* (all where there are none)."""
        return await self._look(lambda: objects.files(self._repository, revision, paths))

    async def changed(self, old: str, new: str) -> list[tuple[str, str]] | None:
        """Return path and blob of what differs between two revisions; see `objects.changed`."""
        return await self._look(lambda: objects.changed(self._repository, old, new))

    async def tree(self, revision: str, files: Mapping[str, bytes | None] | None = None) -> str:
        """Return the id of the tree of *revision*, or of one in which *files* differ from it."""
        if not files:
            return await self._look(lambda: trees.root(self._repository, revision))
        return await self._look(lambda: trees.changed(self._repository, revision, files))

    async def nearest(self, revision: str, path: str, name: str) -> tuple[str, str] | None:
        """Return path and blob of the file *name* at *path* or, nearest to it, above."""
        return await self._look(lambda: trees.nearest(self._repository, revision, path, name))

    async def packed(self, revision: str, limit: int) -> bytes:
        """Return all files of *revision* as a tar; see `trees.packed`."""
        return await self._look(lambda: trees.packed(self._repository, revision, limit))

    async def blob(self, identity: str) -> bytes:
        """Return the content of a blob."""
        return await self._look(lambda: objects.blob(self._repository, identity))

    async def blobs(self, identities: Sequence[str]) -> list[bytes]:
        """Return the contents of several blobs."""
        return await self._look(lambda: [objects.blob(self._repository, one) for one in identities])

    async def read(self, revision: str, path: str) -> bytes:
        """Return a file as it is at *revision*."""
        return await self._look(lambda: objects.read(self._repository, revision, path))

    async def texts(self, revision: str, paths: Sequence[str]) -> list[bytes]:
        """Return several files as they are at *revision*."""
        return await self._look(
            lambda: [objects.read(self._repository, revision, path) for path in paths]
        )

    async def log(self, revision: str, limit: int) -> list[Commit]:
        """Return the newest *limit* commits up to *revision*, by first parents."""
        return await self._look(lambda: history.log(self._repository, revision, limit))

    async def recent(
        self, revision: str, limit: int, *, name: str, email: str
    ) -> list[tuple[Commit, str]]:
        """Return somebody's commits among the newest in *revision*; see `history.recent`."""
        who = pygit2.Signature(name, email)
        return await self._look(lambda: history.recent(self._repository, revision, limit, who))

    async def before(
        self, revision: str, files: Collection[str], limit: int
    ) -> dict[str, list[str]]:
        """Return after which revisions *files* were changed; see `history.before`."""
        some = frozenset(files)
        return await self._look(lambda: history.before(self._repository, revision, some, limit))

    async def ancestors(self, revision: str, limit: int) -> list[str]:
        """Return *revision* and what it was built on, the newest first, by first parents."""
        return await self._look(lambda: history.ancestors(self._repository, revision, limit))

    async def height(self, revision: str) -> int:
        """Return how many first parents there are below *revision*."""
        found = await self._look(lambda: history.height(self._repository, revision, self._height))
        self._height = (revision, found)
        return found

    async def is_ancestor(self, old: str, new: str) -> bool:
        """Tell whether *new* was built on *old*."""
        return await self._look(lambda: history.is_ancestor(self._repository, old, new))

    async def commit(
        self,
        parent: str,
        files: Mapping[str, bytes | None],
        message: str,
        *,
        committer: Person,
        author: Person | None = None,
        sign: Sign | None = None,
    ) -> str:
        """
        Make a commit on *parent* in which *files* differ (None: is gone); see `push`.

        Without a *parent* it is the first one.
        """
        makers = (pygit2.Signature(*(author or committer)), pygit2.Signature(*committer))
        return await self._look(
            lambda: objects.commit(self._repository, parent, files, message, makers, sign=sign)
        )

    async def pending(self, revision: str, base: str) -> list[str]:
        """Return the messages of the commits that *revision* adds to *base*, the newest first."""
        found = await self._look(lambda: history.pending(self._repository, revision, base))
        return [one.raw_message.decode("utf-8", "replace") for one in found]

    async def rebased(
        self, revision: str, onto: str, *, who: Person, sign: Sign | None = None
    ) -> str:
        """
        Return *onto* with what *revision* adds to it.

        That is *revision* itself if it stands on it, or if others than *who* have committed there.
        """
        by = pygit2.Signature(*who)

        def work() -> str:
            commits = history.pending(self._repository, revision, onto)[::-1]
            if history.is_ancestor(self._repository, onto, revision) or not all(
                history.is_by(one, by) and len(one.parent_ids) == 1 for one in commits
            ):
                return revision
            since = history.since(self._repository, revision, onto, MERGES)
            return rebasing.rebased(self._repository, commits, onto, since=since, by=by, sign=sign)

        return await self._look(work)

    async def tag(
        self, revision: str, name: str, message: str, *, tagger: Person, sign: Sign | None = None
    ) -> str:
        """Make an annotated tag of *revision*; see `move`."""
        by = pygit2.Signature(*tagger)
        return await self._look(
            lambda: objects.tag(self._repository, revision, name, message, by=by, sign=sign)
        )

    async def peeled(self, identity: str) -> str:
        """Return the commit that a tag, or a tag of a tag, is of."""
        return await self._look(lambda: objects.peeled(self._repository, identity))

    async def note(self, key: str, text: str | None = None) -> str:
        """Return what is remembered under *key*; with *text*, remember that first."""
        return await asyncio.to_thread(memo, self._directory, key, text)

    async def _look(self, work: Callable[[], T]) -> T:
        async with self._serial.taken():
            return await self._locally(work)

    async def _locally(self, work: Callable[[], T]) -> T:
        try:
            return await self._serial.run(asyncio.get_running_loop().run_in_executor(None, work))
        except LIBRARY as error:
            self._failures = FAILURES
            raise TemporaryError(
                f"mirror {self._directory.name}", f"can't be read ({error}); it is made anew"
            ) from error
