"""One operation at a time, of threads that nobody can stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


class Serial:
    """Lets in one task at a time, and the next when the thread of the last one has ended, too."""

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()
        self._thread: asyncio.Future[object] | None = None

    async def run(self, future: asyncio.Future[T]) -> T:
        """Wait for a thread; it goes on if we are cancelled."""
        self._thread = future  # type: ignore[assignment] # only its end matters
        return await asyncio.shield(future)

    @property
    def idle(self) -> bool:
        """Whether the last thread has ended."""
        return self._thread is None or self._thread.done()

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Take the place; a thread for which nobody waits any more keeps it until it ends."""
        await self._one_at_a_time.acquire()
        try:
            yield
        finally:
            if self._thread is None or self.idle:
                self._one_at_a_time.release()
            else:
                self._thread.add_done_callback(lambda _: self._one_at_a_time.release())
