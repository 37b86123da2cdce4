"""How long the event loop is held at a time: everybody else waits meanwhile."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from shared.runtime import garbage

LONGEST = 60
"""Pieces of work that a turn may take. To collect garbage, as in a service, takes half."""

TRIES = 5
"""A machine that is busy makes a turn longer, none shorter: the least of so many is judged."""


async def least(longest_turn: Callable[[], Awaitable[float]]) -> float:
    """Measure again, up to `TRIES` times, until a turn is short enough; return the least."""
    found = await longest_turn()
    for _ in range(1, TRIES):
        if found < LONGEST:
            break
        found = min(found, await longest_turn())
    return found


class Turns:
    """The time that each turn of the event loop has taken, and that a piece of work takes."""

    def __init__(self) -> None:
        self.seconds = [0.0]
        self._piece = min(_piece() for _ in range(10))

    @property
    def longest(self) -> float:
        """In pieces of work, so that it is the same on a slow machine."""
        return max(self.seconds) / self._piece

    async def beat(self, done: asyncio.Event) -> None:
        """Take every second turn until *done*."""
        while not done.is_set():
            since = time.thread_time()
            await asyncio.sleep(0)
            self.seconds.append(time.thread_time() - since)


@asynccontextmanager
async def the_turns() -> AsyncIterator[Turns]:
    """Measure how long the event loop is held at a time; its own work, not that of others."""
    turns, done = Turns(), asyncio.Event()
    with _garbage_as_in_a_service():
        async with asyncio.TaskGroup() as group:
            group.create_task(turns.beat(done))
            await asyncio.sleep(0)
            yield turns
            done.set()


@contextmanager
def _garbage_as_in_a_service() -> Iterator[None]:
    """Else the pauses are those of this test run's heap."""
    usual = gc.get_threshold()
    garbage.keep_all()
    garbage.collect_seldom()
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


def _piece() -> float:
    """Work as services do, for some millisecond; return how long that took, in seconds."""
    since = time.thread_time()
    for number in range(10_000):
        {"name": str(number)}.get("name", "").split("1")
    return time.thread_time() - since
