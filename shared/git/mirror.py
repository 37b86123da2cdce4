"""
A mirror of one branch on disk, and everything done with it.

pygit2 runs in threads, one operation of a mirror at a time; transfers of all mirrors share two
places, since more of them at once take longer together. Commits are made without a checkout.
"""

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Self, TypeVar

import pygit2
import structlog
from pygit2.enums import FileMode, SortMode

from shared.config.model import Git
from shared.contract import Commit
from shared.git import transport
from shared.git.transport import Callbacks, MovedError, RefusedError
from shared.runtime.errors import PermanentError, TemporaryError

logger = structlog.get_logger(__name__)

T = TypeVar("T")

_HEAD = "refs/flux/head"
_TRANSFERS = asyncio.Semaphore(2)
_FORBIDDEN = (FileMode.LINK, FileMode.COMMIT)
MANY_PACKS = 100
"""Every fetch leaves a pack, and libgit2 never joins them; then the mirror is made anew."""


class Mirror:
    """One branch of one repository. Revisions and blobs are hexadecimal ids."""

    def __init__(self, directory: Path, git: Git, repository: pygit2.Repository) -> None:
        self.branch = git.branch
        """Known after the first fetch where the configuration leaves it to the remote."""
        self._directory = directory
        self._git = git
        self._repository = repository
        self._one_at_a_time = asyncio.Lock()

    @classmethod
    async def open(cls, directory: Path, git: Git) -> Self:
        """Open the mirror in *directory*, or a new one; call `transport.configure` before."""
        return cls(directory, git, await asyncio.to_thread(_open, directory))

    async def fetch(self) -> str:
        """
        Return the head of the branch as the host has it now; its commits are here then.

        Raises:
            TemporaryError: the host can't be reached, refuses us, or has no such branch.
        """
        return await self._run(self._fetch, network=True)

    async def push(self, revision: str, expected: str) -> bool:
        """
        Move the branch from *expected* to *revision*; False if it is elsewhere by now.

        Raises:
            PermanentError: the host refuses, in its own words.
            TemporaryError: the host can't be reached.
        """
        return await self._run(lambda: self._push(revision, expected), network=True)

    async def files(self, revision: str, paths: Sequence[str]) -> list[tuple[str, str]]:
        """Return path and blob of every file below *paths* (all where there are none)."""
        return await self._run(lambda: self._files(revision, paths))

    async def blob(self, identity: str) -> bytes:
        """Return the content of a blob."""
        return await self._run(lambda: self._data(identity))

    async def blobs(self, identities: Sequence[str]) -> list[bytes]:
        """Return the contents of several blobs."""
        return await self._run(lambda: [self._data(one) for one in identities])

    async def read(self, revision: str, path: str) -> bytes:
        """Return a file as it is at *revision*."""
        return await self._run(lambda: self._data(self._tree(revision)[path].id))

    async def log(self, revision: str, limit: int) -> list[Commit]:
        """Return the newest *limit* commits up to *revision*, by first parents."""
        return await self._run(lambda: [_commit(c) for c in self._first_parents(revision, limit)])

    async def ancestors(self, revision: str, limit: int) -> list[str]:
        """Return *revision* and what it was built on, the newest first, by first parents."""
        return await self._run(lambda: [str(c.id) for c in self._first_parents(revision, limit)])

    async def height(self, revision: str) -> int:
        """Return how many first parents there are below *revision*."""
        return await self._run(lambda: self._height(revision))

    async def is_ancestor(self, old: str, new: str) -> bool:
        """Tell whether *new* was built on *old*."""
        return await self._run(lambda: self._is_ancestor(old, new))

    async def commit(
        self, parent: str, files: Mapping[str, bytes], message: str, *, name: str, email: str
    ) -> str:
        """Make a commit on *parent* in which *files* differ; it is pushed by `push`."""
        return await self._run(lambda: self._make(parent, files, message, name, email))

    async def note(self, key: str, text: str | None = None) -> str:
        """Return what is remembered under *key*; with *text*, remember that first."""
        file = self._directory / "flux" / key

        def remember() -> str:
            if text is not None:
                file.parent.mkdir(exist_ok=True)
                file.write_text(text)
            return file.read_text() if file.exists() else ""

        return await asyncio.to_thread(remember)

    async def _run(self, work: Callable[[], T], *, network: bool = False) -> T:
        async with self._one_at_a_time:
            try:
                if not network:
                    return await asyncio.to_thread(work)
                async with _TRANSFERS:
                    return await asyncio.to_thread(work)
            except (pygit2.GitError, OSError, KeyError, ValueError, TemporaryError) as error:
                raise transport.translated(error, self._git) from error

    def _fetch(self) -> str:
        callbacks = Callbacks(self._git)
        remote = self._repository.remotes.create_anonymous(self._git.url)
        heads = {str(head.name): head for head in remote.list_heads(callbacks=callbacks)}
        ref = self._ref(heads)
        revision = str(heads[ref].oid)
        if revision not in self._repository:
            if len(list(self._directory.glob("objects/pack/*.pack"))) > MANY_PACKS:
                self._repository = _anew(self._directory)
                remote = self._repository.remotes.create_anonymous(self._git.url)
            remote.fetch([f"+{ref}:{_HEAD}"], callbacks=Callbacks(self._git))
        return revision

    def _ref(self, heads: Mapping[str, "pygit2.remotes.RemoteHead"]) -> str:
        if not self.branch and "HEAD" in heads:
            target = heads["HEAD"].symref_target
            self.branch = str(target or "refs/heads/main").removeprefix("refs/heads/")
        ref = f"refs/heads/{self.branch}"
        if ref not in heads:
            wanted = f"no branch {self.branch!r}" if self.branch else "no branch yet"
            raise TemporaryError(
                transport.dependency(self._git),
                f"{self._git.url.rpartition('@')[2]} has {wanted}; push it, or set git.branch",
            )
        return ref

    def _push(self, revision: str, expected: str) -> bool:
        callbacks = Callbacks(self._git)
        callbacks.expected = expected
        remote = self._repository.remotes.create_anonymous(self._git.url)
        self._repository.references.create("refs/flux/push", revision, force=True)
        try:
            remote.push([f"+refs/flux/push:refs/heads/{self.branch}"], callbacks=callbacks)
        except MovedError:
            return False
        if callbacks.refused is None:
            return True
        if self._fetch() != expected:
            return False
        host = transport.dependency(self._git)
        raise RefusedError(f"{host} refuses the push to {self.branch}: {callbacks.refused}")

    def _data(self, identity: str | pygit2.Oid) -> bytes:
        return self._repository[identity].peel(pygit2.Blob).data

    def _tree(self, revision: str) -> pygit2.Tree:
        return self._repository[revision].peel(pygit2.Tree)

    def _files(self, revision: str, paths: Sequence[str]) -> list[tuple[str, str]]:
        tree = self._tree(revision)
        found: list[tuple[str, str]] = []
        for path in sorted(set(paths)) or [""]:
            try:
                start = tree[path] if path else tree
            except KeyError as error:
                raise PermanentError(f"there is no {path!r} at {revision[:7]}") from error
            if isinstance(start, pygit2.Tree):
                _walk(start, path, found)
            else:
                found.append((path, str(start.id)))
        return sorted(set(found))

    def _first_parents(self, revision: str, limit: int) -> list[pygit2.Commit]:
        commit: pygit2.Commit | None = self._repository[revision].peel(pygit2.Commit)
        found: list[pygit2.Commit] = []
        while commit is not None and len(found) < limit:
            found.append(commit)
            commit = commit.parents[0] if commit.parent_ids else None
        return found

    def _height(self, revision: str) -> int:
        walker = self._repository.walk(revision, SortMode.NONE)
        walker.simplify_first_parent()
        return sum(1 for _ in walker) - 1

    def _is_ancestor(self, old: str, new: str) -> bool:
        if old not in self._repository:
            return False
        return old == new or self._repository.descendant_of(new, old)

    def _make(
        self, parent: str, files: Mapping[str, bytes], message: str, name: str, email: str
    ) -> str:
        tree = self._tree(parent).id
        for path, data in files.items():
            tree = _put(self._repository, tree, path.split("/"), data)
        author = pygit2.Signature(name, email)
        return str(self._repository.create_commit(None, author, author, message, tree, [parent]))


def _open(directory: Path) -> pygit2.Repository:
    try:
        return pygit2.Repository(str(directory))
    except pygit2.GitError:
        return _anew(directory)


def _anew(directory: Path) -> pygit2.Repository:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True, mode=0o700)
    return pygit2.init_repository(str(directory), bare=True)


def _walk(tree: pygit2.Tree, path: str, found: list[tuple[str, str]]) -> None:
    """Note every file below *tree*; links and submodules are none of ours."""
    for entry in tree:
        place = f"{path}/{entry.name}" if path else str(entry.name)
        if isinstance(entry, pygit2.Tree):
            _walk(entry, place, found)
        elif entry.filemode not in _FORBIDDEN:
            found.append((place, str(entry.id)))


def _put(
    repository: pygit2.Repository, tree: pygit2.Oid | None, path: Sequence[str], data: bytes
) -> pygit2.Oid:
    """Return *tree* with a file changed: only the trees along its path are written."""
    name, *rest = path
    old = repository[tree].peel(pygit2.Tree) if tree else None
    builder = repository.TreeBuilder(old) if old is not None else repository.TreeBuilder()
    entry = old[name] if old is not None and name in old else None
    if rest:
        below = entry.id if isinstance(entry, pygit2.Tree) else None
        builder.insert(name, _put(repository, below, rest, data), FileMode.TREE)
    else:
        mode = entry.filemode if entry is not None else FileMode.BLOB
        builder.insert(name, repository.create_blob(data), mode)
    return builder.write()


def _commit(commit: pygit2.Commit) -> Commit:
    zone = timezone(timedelta(minutes=commit.author.offset))
    time = datetime.fromtimestamp(commit.author.time, zone).astimezone(UTC)
    return Commit(
        revision=str(commit.id),
        author=f"{commit.author.name} <{commit.author.email}>",
        message=commit.message,
        time=time,
    )
