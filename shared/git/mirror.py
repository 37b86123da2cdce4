"""
A mirror of one branch on disk, and everything done with it.

Transfers of all mirrors share two places, since more of them at once take longer together. The
folder is a cache: what can't be read is made anew. `store` is what happens without the network,
`remote` what happens with it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

import pygit2
import structlog

from shared.config.git import Git
from shared.git import objects, remote, tidy, transport
from shared.git.remote import Heads, Moves, Pushed
from shared.git.store import FAILURES, LIBRARY, Store
from shared.git.transport import Callbacks, MovedError
from shared.runtime.errors import FluxError, PermanentError, TemporaryError

logger = structlog.get_logger(__name__)

T = TypeVar("T")

_TRANSFERS = asyncio.Semaphore(2)
HOSTS = 32
"""Hosts that are asked at once."""
_HOSTS = ThreadPoolExecutor(max_workers=HOSTS, thread_name_prefix="git-host")
"""Apart from the loop's own threads: hosts that don't answer must hold up nobody else."""
_BROKEN = 3
"""Pushes that a host breaks off in the same words, and so refuses."""
_GRACE = 5.0
"""Seconds that libgit2 gets to notice its own timeout before we stop waiting for it."""


class Mirror(Store):
    """One branch of one repository. Revisions and blobs are hexadecimal ids."""

    def __init__(
        self,
        directory: Path,
        git: Git,
        repository: pygit2.Repository,
        beside: Sequence[str] = (),
    ) -> None:
        super().__init__(directory, repository)
        self.branch = git.branch
        """Known after the first fetch where the configuration leaves it to the remote."""
        self.beside: Mapping[str, str] = {}
        """Where the last fetch saw the other refs that count."""
        self._names = beside
        self._git = git

    @classmethod
    async def open(cls, directory: Path, git: Git, beside: Sequence[str] = ()) -> Self:
        """
        Open the mirror in *directory*, or a new one; call `transport.configure` before.

        Refs *beside* the branch are mirrored as well, where there are any.

        Raises:
            PermanentError: we may not write there.
        """
        try:
            return cls(directory, git, await asyncio.to_thread(objects.opened, directory), beside)
        except OSError as error:
            remedy = "set state_dir to a folder that we may write"
            raise PermanentError(f"mirror {directory}: {error.strerror}; {remedy}") from error

    async def fetch(self) -> str:
        """
        Return the head of the branch as the host has it now; its commits are here then.

        Raises:
            TemporaryError: the host can't be reached, refuses us, or has no such branch.
        """
        async with self._serial.taken():
            return await self._fetch()

    async def push(
        self, revision: str, expected: str, beside: Mapping[str, str] | None = None
    ) -> Pushed:
        """
        Move the branch from *expected* to *revision*; it does not land if it is elsewhere by now.

        In the same push, refs *beside* it are moved from where the last fetch saw them; what the
        host says against that is returned, and stops nothing.

        Raises:
            PermanentError: the host refuses, in its own words.
            TemporaryError: the host can't be reached.
        """
        branch = f"refs/heads/{self.branch}"
        moves = {branch: (expected, revision), **self._beside_moves(beside or {})}
        async with self._serial.taken():
            pushed = await self._pushed(moves, revision, expected)
            # Without a reason of its own the host may just have taken another push first.
            if branch in pushed.refused and await self._fetch() != expected:
                return Pushed(landed=False)
        if branch in pushed.refused:
            raise remote.refusal(self._git, branch, pushed.refused[branch])
        return pushed

    async def move(self, beside: Mapping[str, str]) -> Pushed:
        """Move refs beside the branch, from where the last fetch saw them."""
        moves = self._beside_moves(beside)
        async with self._serial.taken():
            specs = await self._locally(lambda: remote.specs(self._repository, moves))
            return await self._send(specs, moves)

    async def _fetch(self) -> str:
        call = Callbacks(self._git)
        heads = await self._ask(
            call, lambda: remote.heads(self._repository, self._git, self._names, call)
        )
        self.branch = heads.ref.removeprefix("refs/heads/")
        if not await self._locally(lambda: self._is_here(heads)):
            getting = Callbacks(self._git)
            async with _TRANSFERS:
                await self._ask(getting, lambda: self._transfer(heads, getting))
        self.beside = heads.beside
        return heads.revision

    def _beside_moves(self, beside: Mapping[str, str]) -> Moves:
        return {ref: (self.beside.get(ref, remote.NOTHING), new) for ref, new in beside.items()}

    async def _pushed(self, moves: Moves, revision: str, expected: str) -> Pushed:
        """
        Move refs, the branch first; a push that breaks is tried again.

        A host that can be read from, and breaks off each push in the same words, refuses it: over
        SSH there is no other way of saying so.
        """
        broken: list[str] = []
        while True:
            specs = await self._locally(lambda: remote.specs(self._repository, moves))
            try:
                return await self._send(specs, moves)
            except TemporaryError as error:
                if not self._serial.idle:
                    raise
                broken.append(error.reason)
            head = await self._fetch()
            if head != expected:
                return Pushed(landed=head == revision)
            if broken.count(broken[-1]) == _BROKEN:
                raise remote.refusal(self._git, next(iter(moves)), broken[-1])

    async def _send(self, specs: Sequence[str], moves: Moves) -> Pushed:
        call = Callbacks(self._git, {ref: expected for ref, (expected, _) in moves.items()})
        try:
            async with _TRANSFERS:
                await self._ask(call, lambda: remote.move(self._repository, self._git, specs, call))
        except MovedError:
            return Pushed(landed=False)
        return Pushed(landed=True, refused=call.refused)

    async def _ask(self, call: Callbacks, work: Callable[[], T]) -> T:
        """Do *work* with the host; whatever goes wrong is told in our words."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._git.timeout + _GRACE):
                return await self._serial.run(loop.run_in_executor(_HOSTS, work))
        except TimeoutError as error:
            raise transport.too_slow(self._git) from error
        except (*LIBRARY, FluxError) as error:
            raise transport.translated(error, self._git) from error
        finally:
            call.abandon()

    def _prepare(self) -> None:
        """Make the mirror fit for a transfer: anew, or tidied up, if it needs that."""
        if self._failures >= FAILURES:
            logger.warning("mirror made anew", directory=str(self._directory))
            self._repository = objects.anew(self._directory)
            self._failures = 0
        elif tidy.is_needed(self._directory) and not tidy.tidy(self._directory):
            self._repository = objects.anew(self._directory)

    def _is_here(self, heads: Heads) -> bool:
        self._prepare()
        return remote.is_here(self._repository, heads)

    def _transfer(self, heads: Heads, call: Callbacks) -> None:
        self._failures += 1
        remote.fetch(self._repository, self._git, heads, call)
        self._failures = 0
