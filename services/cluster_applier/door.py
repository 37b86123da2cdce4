"""
The way in to the API server of a target, read again when it changes or its credentials expire.

Requests that are under way on an older reading end on it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from services.cluster_applier.kubeconfig import read, way
from services.cluster_applier.way import Way
from shared.config.target import Target
from shared.runtime.errors import PermanentError, TemporaryError

logger = structlog.get_logger(__name__)

LOOK = 60.0
"""Seconds between two looks whether a kubeconfig, or the Secret that holds it, has changed ..."""
SOON = 5.0
"""... and at least, where the server can't be reached or refuses our credentials."""


class Door:
    """Where requests find the way in."""

    def __init__(self, target: Target) -> None:
        self.name = f"cluster {target.name}"
        self._target = target
        self._way: Way | None = None
        """None until it could be read for the first time."""
        self._source: object = None
        self._turn = asyncio.Lock()
        self._read = float("-inf")
        self._renewed = float("-inf")
        self._due = float("-inf")
        self._reason = ""
        """Why it could not be read again, as it was logged last."""

    async def close(self) -> None:
        """End all connections."""
        if self._way is not None:
            await self._way.close()

    @asynccontextmanager
    async def way(self) -> AsyncIterator[Way]:
        """
        Yield the way for one request.

        Raises:
            TemporaryError: nothing says where the server is, or what does can't be read now.
        """
        taken = await self._found()
        taken.users += 1
        try:
            yield taken
        finally:
            taken.users -= 1
            if taken is not self._way and not taken.users:
                await taken.close()

    async def _found(self) -> Way:
        if self._way is None:
            return await self._first()
        if _now() >= self._due:
            await self._look(self._way)
        return self._way

    async def _first(self) -> Way:
        """Read the way for the first time, once for all who need it."""
        async with self._turn:
            if self._way is None and _now() >= self._due:
                await self._renew()
        if self._way is None:
            raise TemporaryError(self.name, self._reason)
        return self._way

    def doubt(self) -> None:
        """Look soon whether it is another one by now: the server could not be reached."""
        self._due = min(self._due, self._read + SOON)

    async def renewed(self, refused: Way) -> bool:
        """Read all again where credentials were *refused*; return whether to ask once more."""
        async with self._turn:
            if refused is not self._way:
                return True
            if _now() - self._renewed < SOON:
                return False
            self._renewed = _now()
            return await self._renew()

    async def _look(self, known: Way) -> None:
        """Read all again if what says it has changed."""
        self._due = _now() + LOOK  # others need not wait for us
        async with self._turn:
            try:
                async with asyncio.timeout(self._target.timeout):
                    changed = known.outdated or await read(self._target) != self._source
            except (PermanentError, TimeoutError) as error:
                self._failed(error)
                return
            if changed:
                await self._renew()
            else:
                self._note()

    async def _renew(self) -> bool:
        before = self._way
        try:
            async with asyncio.timeout(self._target.timeout):
                self._way, self._source = await way(self._target)
        except (PermanentError, TimeoutError) as error:
            self._failed(error)
            return False
        self._note()
        if before is not None:
            logger.info("way to the cluster read again", target=self._target.name)
            if not before.users:
                await before.close()
        return True

    def _note(self) -> None:
        self._read, self._reason = _now(), ""
        self._due = self._read + LOOK

    def _failed(self, error: Exception) -> None:
        """Go on as before; without any way soon try again, and let who asks tell it."""
        self._read, reason = _now(), str(error) or "what says how it is reached does not end"
        if self._way is None:
            self._due = self._read + SOON
        elif reason != self._reason:
            logger.warning("way to the cluster not read again", reason=reason)
        self._reason = reason


def _now() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def door(target: Target) -> AsyncIterator[Door]:
    """Open the way to the API server of *target*; it is read when it is needed."""
    found = Door(target)
    try:
        yield found
    finally:
        await found.close()
