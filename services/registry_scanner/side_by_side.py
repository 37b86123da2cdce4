"""Reads many things of one registry at once, but only so many, and stops when it had enough."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from services.registry_scanner.ports import UnreadableError
from shared.runtime.errors import TemporaryError

T = TypeVar("T")


@dataclass(slots=True)
class Reading(Generic[T]):
    """What came of it: an answer or a reason for each key, unless the registry stopped it."""

    found: dict[str, T] = field(default_factory=dict)
    unreadable: dict[str, UnreadableError] = field(default_factory=dict)
    stopped: TemporaryError | None = None


async def read_each(
    keys: Iterable[str], read: Callable[[str], Awaitable[T]], parallel: int
) -> Reading[T]:
    """Read all *keys*; after the first TemporaryError no further one is begun."""
    reading: Reading[T] = Reading()
    waiting = iter(keys)

    async def work() -> None:
        for key in waiting:
            if reading.stopped:
                return
            try:
                reading.found[key] = await read(key)
            except UnreadableError as error:
                reading.unreadable[key] = error
            except TemporaryError as error:
                reading.stopped = reading.stopped or error

    async with asyncio.TaskGroup() as group:
        for _ in range(parallel):
            group.create_task(work())
    return reading
