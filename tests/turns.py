"""How long the event loop is held at a time: everybody else waits meanwhile."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.runtime import garbage

LONGEST = 0.05
"""Seconds that a turn may take."""


@asynccontextmanager
async def the_longest_turn() -> AsyncIterator[list[float]]:
    """
    Measure how long the event loop was held at a time; its own work, not that of others.

    Garbage is collected as in a service: else the pauses are those of this test run's heap.
    """
    turns, done, usual = [0.0], asyncio.Event(), gc.get_threshold()
    garbage.keep_all()
    garbage.collect_seldom()

    async def beat() -> None:
        while not done.is_set():
            since = time.thread_time()
            await asyncio.sleep(0)
            turns.append(time.thread_time() - since)

    async with asyncio.TaskGroup() as group:
        group.create_task(beat())
        await asyncio.sleep(0)
        yield turns
        done.set()
    gc.set_threshold(*usual)
    gc.unfreeze()
