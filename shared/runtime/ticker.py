"""Says signals again and again: what a stage looks at without being told."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from shared.contract import Draft, Message
from shared.runtime.errors import TemporaryError
from shared.runtime.lifecycle import Worker, unless_stopped

LOOK = 1.0
"""Seconds between two looks at what is due; new subjects are noticed within that."""
AGAIN = 5.0
"""Seconds after which a signal that nobody took is said again."""
JITTER = 0.1
"""Share of an interval by which ticks are spread ..."""
EARLIEST = 0.1
"""... but the second one comes anywhere from this share on: else all that began at once, at a
start, would come at once for ever."""

Due = Callable[[], Iterable[tuple[Draft, float]]]
"""The signals, and the seconds after which each is due again."""


class Says(Protocol):
    """The part of the bus that a ticker needs."""

    def tick(self, signal: Draft) -> Awaitable[None]:
        """Say it to our own stage."""

    def is_ours(self, message: Message) -> bool:
        """Tell whether this replica is the one that ticks for *message*."""


def ticker(bus: Says, due: Due) -> Worker:
    """Return a worker that says each signal at once, and then at its interval."""

    async def run(stop: asyncio.Event) -> None:
        clock = _Clock()
        while not stop.is_set():
            # While the broker is away a signal may wait for it; that must not hold up the end.
            async with unless_stopped(stop):
                # What becomes ours is due at once: who had it may have died with its tick.
                ours = [one for one in due() if bus.is_ours(one[0].message)]
                for draft in clock.strike(ours):
                    try:
                        await bus.tick(draft)
                    except TemporaryError:  # `/readyz` tells it
                        clock.again(draft)
                await asyncio.sleep(LOOK)

    return run


class _Clock:
    """When each signal is due next."""

    def __init__(self) -> None:
        self._at: dict[tuple[str, str], float] = {}

    def again(self, draft: Draft) -> None:
        """Have a signal due soon, whatever its interval is."""
        key = draft.message.type, draft.message.subject
        self._at[key] = asyncio.get_running_loop().time() + AGAIN

    def strike(self, wanted: Iterable[tuple[Draft, float]]) -> list[Draft]:
        """Return those of *wanted* that are due now; what is wanted no more is forgotten."""
        now = asyncio.get_running_loop().time()
        struck, following = [], {}
        for draft, interval in wanted:
            key = draft.message.type, draft.message.subject
            at = self._at.get(key)
            if at is None or at <= now:
                shares = (1 - JITTER, 1 + JITTER) if at else (EARLIEST, 1)
                at = now + interval * random.uniform(*shares)  # noqa: S311 - no secret
                struck.append(draft)
            following[key] = at
        self._at = following
        return struck
