"""
A mirror of one branch on disk, and everything done with it.

pygit2 runs in threads, one operation of a mirror at a time; transfers of all mirrors share two
places, since more of them at once take longer together. The folder is a cache: what can't be read
is made anew. `objects` is what happens without the network, `transport` how hosts are met.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self, TypeVar

import pygit2
import structlog

from shared.config.model import Git
from shared.contract import Commit
from shared.git import objects, tidy, transport
from shared.git.transport import Callbacks, MovedError, RefusedError
from shared.runtime.errors import FluxError, PermanentError, TemporaryError

logger = structlog.get_logger(__name__)

T = TypeVar("T")

_HEAD = "refs/flux/head"
_PUSH = "refs/flux/push"
_TRANSFERS = asyncio.Semaphore(2)
HOSTS = 32
"""Hosts that are asked at once."""
_HOSTS = ThreadPoolExecutor(max_workers=HOSTS, thread_name_prefix="git-host")
"""Apart from the loop's own threads: hosts that don't answer must hold up nobody else."""
_GRACE = 5.0
"""Seconds that libgit2 gets to notice its own timeout before we stop waiting for it."""
_FAILURES = 3
"""Transfers in a row that fail before the mirror itself is suspected."""
_LIBRARY = (pygit2.GitError, OSError, KeyError, ValueError, LookupError)

Person = tuple[str, str]
"""Name and address."""
Head = tuple[str, str]
"""A ref of the host and its revision."""


class Mirror:
    """One branch of one repository. Revisions and blobs are hexadecimal ids."""

    def __init__(self, directory: Path, git: Git, repository: pygit2.Repository) -> None:
        self.branch = git.branch
        """Known after the first fetch where the configuration leaves it to the remote."""
        self._directory = directory
        self._git = git
        self._repository = repository
        self._one_at_a_time = asyncio.Lock()
        self._thread: asyncio.Future[object] | None = None
        self._failures = 0
        self._height = ("", 0)

    @classmethod
    async def open(cls, directory: Path, git: Git) -> Self:
        """
        Open the mirror in *directory*, or a new one; call `transport.configure` before.

        Raises:
            PermanentError: we may not write there.
        """
        try:
            return cls(directory, git, await asyncio.to_thread(objects.opened, directory))
        except OSError as error:
            remedy = "set state_dir to a folder that we may write"
            raise PermanentError(f"mirror {directory}: {error.strerror}; {remedy}") from error

    async def fetch(self) -> str:
        """
        Return the head of the branch as the host has it now; its commits are here then.

        Raises:
            TemporaryError: the host can't be reached, refuses us, or has no such branch.
        """
        async with self._taken():
            return await self._fetch()

    async def push(self, revision: str, expected: str) -> bool:
        """
        Move the branch from *expected* to *revision*; False if it is elsewhere by now.

        Raises:
            PermanentError: the host refuses, in its own words.
            TemporaryError: the host can't be reached.
        """
        call = Callbacks(self._git, expected)
        async with self._taken():
            references = self._repository.references
            await self._locally(lambda: references.create(_PUSH, revision, force=True))
            try:
                async with _TRANSFERS:
                    await self._ask(call, lambda: self._push(call))
            except MovedError:
                return False
            if call.refused is None:
                return True
            # Without a reason of its own the host may just have taken another push first.
            if await self._fetch() != expected:
                return False
        raise self._refusal(call.refused)

    async def files(self, revision: str, paths: Sequence[str]) -> list[tuple[str, str]]:
        """Return path and blob of every file below *paths* (all where there are none)."""
        return await self._look(lambda: objects.files(self._repository, revision, paths))

    async def blob(self, identity: str) -> bytes:
        """Return the content of a blob."""
        return await self._look(lambda: objects.blob(self._repository, identity))

    async def blobs(self, identities: Sequence[str]) -> list[bytes]:
        """Return the contents of several blobs."""
        return await self._look(lambda: [objects.blob(self._repository, one) for one in identities])

    async def read(self, revision: str, path: str) -> bytes:
        """Return a file as it is at *revision*."""
        return await self._look(lambda: objects.read(self._repository, revision, path))

    async def log(self, revision: str, limit: int) -> list[Commit]:
        """Return the newest *limit* commits up to *revision*, by first parents."""
        return await self._look(lambda: objects.log(self._repository, revision, limit))

    async def recent(
        self, revision: str, limit: int, *, name: str, email: str
    ) -> list[tuple[Commit, str]]:
        """Return somebody's commits among the newest in *revision*; see `objects.recent`."""
        who = pygit2.Signature(name, email)
        return await self._look(lambda: objects.recent(self._repository, revision, limit, who))

    async def ancestors(self, revision: str, limit: int) -> list[str]:
        """Return *revision* and what it was built on, the newest first, by first parents."""
        return await self._look(lambda: objects.ancestors(self._repository, revision, limit))

    async def height(self, revision: str) -> int:
        """Return how many first parents there are below *revision*."""
        found = await self._look(lambda: objects.height(self._repository, revision, self._height))
        self._height = (revision, found)
        return found

    async def is_ancestor(self, old: str, new: str) -> bool:
        """Tell whether *new* was built on *old*."""
        return await self._look(lambda: objects.is_ancestor(self._repository, old, new))

    async def commit(
        self,
        parent: str,
        files: Mapping[str, bytes | None],
        message: str,
        *,
        committer: Person,
        author: Person | None = None,
    ) -> str:
        """Make a commit on *parent* in which *files* differ (None: is gone); see `push`."""
        makers = (pygit2.Signature(*(author or committer)), pygit2.Signature(*committer))
        return await self._look(
            lambda: objects.commit(self._repository, parent, files, message, makers)
        )

    async def note(self, key: str, text: str | None = None) -> str:
        """Return what is remembered under *key*; with *text*, remember that first."""
        return await asyncio.to_thread(objects.note, self._directory, key, text)

    async def _fetch(self) -> str:
        call = Callbacks(self._git)
        ref, revision = await self._ask(call, lambda: self._listed(call))
        self.branch = ref.removeprefix("refs/heads/")
        if await self._locally(lambda: self._prepared(revision)):
            return revision
        call = Callbacks(self._git)
        async with _TRANSFERS:
            await self._ask(call, lambda: self._transfer(ref, revision, call))
        return revision

    async def _look(self, work: Callable[[], T]) -> T:
        async with self._taken():
            return await self._locally(work)

    async def _locally(self, work: Callable[[], T]) -> T:
        try:
            return await self._threaded(asyncio.get_running_loop().run_in_executor(None, work))
        except _LIBRARY as error:
            self._failures = _FAILURES
            raise TemporaryError(
                f"mirror {self._directory.name}", f"can't be read ({error}); it is made anew"
            ) from error

    async def _ask(self, call: Callbacks, work: Callable[[], T]) -> T:
        """Do *work* with the host; whatever goes wrong is told in our words."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._git.timeout + _GRACE):
                return await self._threaded(loop.run_in_executor(_HOSTS, work))
        except TimeoutError as error:
            raise transport.too_slow(self._git) from error
        except (*_LIBRARY, FluxError) as error:
            raise transport.translated(error, self._git) from error
        finally:
            call.abandon()

    async def _threaded(self, future: asyncio.Future[T]) -> T:
        self._thread = future  # type: ignore[assignment] # only its end matters
        return await asyncio.shield(future)

    @asynccontextmanager
    async def _taken(self) -> AsyncIterator[None]:
        """Take the mirror; a thread for which nobody waits any more keeps it until it ends."""
        await self._one_at_a_time.acquire()
        try:
            yield
        finally:
            if self._thread is None or self._thread.done():
                self._one_at_a_time.release()
            else:
                self._thread.add_done_callback(lambda _: self._one_at_a_time.release())

    def _listed(self, call: Callbacks) -> Head:
        remote = self._repository.remotes.create_anonymous(self._git.url)
        heads = {str(head.name): head for head in remote.list_heads(callbacks=call)}
        ref = transport.branch_ref(self._git, heads)
        return ref, str(heads[ref].oid)

    def _prepared(self, revision: str) -> bool:
        """Tell whether *revision* is here already, after making the mirror fit if it is not."""
        if self._failures >= _FAILURES:
            logger.warning("mirror made anew", directory=str(self._directory))
            self._repository = objects.anew(self._directory)
            self._failures = 0
        elif tidy.is_needed(self._directory) and not tidy.tidy(self._directory):
            self._repository = objects.anew(self._directory)
        return revision in self._repository

    def _transfer(self, ref: str, revision: str, call: Callbacks) -> None:
        self._failures += 1
        remote = self._repository.remotes.create_anonymous(self._git.url)
        remote.fetch([f"+{ref}:{_HEAD}"], callbacks=call)
        if revision not in self._repository:  # the branch was moved back between the two questions
            raise TemporaryError(transport.dependency(self._git), f"{ref} moved meanwhile")
        self._failures = 0

    def _push(self, call: Callbacks) -> None:
        remote = self._repository.remotes.create_anonymous(self._git.url)
        try:
            remote.push([f"+{_PUSH}:refs/heads/{self.branch}"], callbacks=call)
        except pygit2.GitError as error:
            if transport.forbidden(error):
                raise self._refusal("we may not write (403); check git.auth") from error
            raise

    def _refusal(self, reason: str) -> RefusedError:
        host = transport.dependency(self._git)
        return RefusedError(f"{host} refuses the push to {self.branch}: {reason}")
