"""Says signals again and again: what a stage looks at without being told."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from shared.contract import Draft
from shared.runtime.errors import TemporaryError
from shared.runtime.lifecycle import Worker

LOOK = 1.0
"""Seconds between two looks at what is due; new subjects are noticed within that."""
JITTER = 0.1
"""Share of an interval by which ticks are spread, so that they don't come all at once."""

Due = Callable[[], Iterable[tuple[Draft, float]]]
"""The signals, and the seconds after which each is due again."""


class Says(Protocol):
    """The part of the bus that a ticker needs."""

    def publish(self, *drafts: Draft) -> Awaitable[None]:
        """Publish, and return when all are confirmed."""


def ticker(bus: Says, due: Due) -> Worker:
    """Return a worker that publishes each signal at once, and then at its interval."""

    async def run(stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        at: dict[tuple[str, str], float] = {}
        while not stop.is_set():
            now = loop.time()
            for draft, interval in due():
                key = draft.message.type, draft.message.subject
                if at.get(key, now) <= now:
                    spread = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
                    at[key] = now + interval * spread
                    await _say(bus, draft)
            await _wait(stop, LOOK)

    return run


async def _say(bus: Says, draft: Draft) -> None:
    try:
        await bus.publish(draft)
    except TemporaryError:
        return  # `/readyz` tells that nobody takes it; the next tick says it again


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
