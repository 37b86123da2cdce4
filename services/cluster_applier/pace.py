"""Several requests at a time; one that hangs holds neither a slot nor what comes after."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import TypeVar

from shared.runtime.tasks import first_error

T = TypeVar("T")

HANGS = 1.0
"""Seconds after which others go on beside one that has not answered."""
PATIENCE = 2.5
"""Seconds that are waited at most for those that hang, where they need not have ended."""
LENT = 3
"""So many times the slots are lent at most to others while their holders hang."""


class Pace:
    """The slots of one round."""

    def __init__(self, group: asyncio.TaskGroup, at_once: int, name: str) -> None:
        self._group = group
        self._slots = asyncio.Semaphore(at_once)
        self._to_lend = at_once * LENT
        self._name = name

    async def each(
        self,
        items: Iterable[T],
        work: Callable[[T], Awaitable[None]],
        *,
        more: Callable[[], Iterable[T]] = tuple,
        all_: bool = True,
    ) -> None:
        """
        Do *work* for all *items*, and for what *more* returns whenever one of them has ended.

        Without *all_* do not wait for those that hang.
        """
        now, begun = asyncio.get_running_loop().time, 0.0
        done: set[asyncio.Task[None]] = set()
        going: set[asyncio.Task[None]] = set()
        while True:
            for item in items:
                await self._slots.acquire()
                going.add(self._group.create_task(self._one(item, work), name=self._name))
                begun = now()
            if not going:
                return
            left = None if all_ else begun + PATIENCE - now()
            done, going = await asyncio.wait(
                going, timeout=left, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                return
            items = more()

    def at_once(self, work: Coroutine[None, None, None]) -> bool:
        """Do *work* beside the rest, without waiting for a slot; return whether it may begin."""
        try:
            self._group.create_task(work, name=self._name)
        except RuntimeError:  # the round has ended, though who waits for that has not run yet
            work.close()
            return False
        return True

    async def _one(self, item: T, work: Callable[[T], Awaitable[None]]) -> None:
        slot = _Slot(self)
        lending = asyncio.get_running_loop().call_later(HANGS, slot.lend)
        try:
            await work(item)
        finally:
            lending.cancel()
            slot.free()

    def free(self) -> None:
        """Let the next one begin."""
        self._slots.release()

    def may_lend(self, change: int) -> bool:
        """Take from what may be lent, or give it back; return whether there was any."""
        if self._to_lend + change < 0:
            return False
        self._to_lend += change
        return True


class _Slot:
    """One of the slots, held by one item."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._lent = False

    def lend(self) -> None:
        """Let another go on beside us."""
        if self._pace.may_lend(-1):
            self._lent = True
            self._pace.free()

    def free(self) -> None:
        """End; what was lent comes back to no one, it is held by another now."""
        if self._lent:
            self._pace.may_lend(+1)
        else:
            self._pace.free()


@asynccontextmanager
async def pace(at_once: int, *, name: str) -> AsyncIterator[Pace]:
    """Yield slots for the block; it ends when all is done, the first error ends it at once."""
    with first_error():
        async with asyncio.TaskGroup() as group:
            yield Pace(group, at_once, name)
