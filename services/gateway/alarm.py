"""Looks how many dead letters there are, and tells: somebody should look at them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import structlog
from prometheus_client import Gauge

from shared.bus.names import DEAD
from shared.runtime.errors import TemporaryError
from shared.runtime.lifecycle import unless_stopped

logger = structlog.get_logger(__name__)

LOOK = 5.0
"""Seconds between two looks."""

DEPTH = Gauge("flux_dead_letters", "Messages in flux.dead that nobody could work on")


class Queues(Protocol):
    """The part of the bus that is needed here."""

    async def depth(self, queue: str) -> int:
        """Return how many messages wait in *queue*."""


class Alarm:
    """Knows how many dead letters there are; while a person looks at them it looks away."""

    def __init__(self, queues: Queues, *, look: float = LOOK) -> None:
        self._queues = queues
        self._look_every = look
        self._paused = 0
        self.count = 0

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Look no more within the block: what somebody holds does not seem to be there."""
        self._paused += 1
        try:
            yield
        finally:
            self._paused -= 1

    async def run(self, stop: asyncio.Event) -> None:
        """Look again and again until *stop*."""
        while not stop.is_set():
            async with unless_stopped(stop):
                await self._look()
                await asyncio.sleep(self._look_every)

    async def _look(self) -> None:
        try:
            count = await self._queues.depth(DEAD)
        except TemporaryError:  # `/readyz` tells it
            return
        if self._paused:
            return
        if count and not self.count:
            logger.error("dead letters", count=count, remedy="fluxctl dead-letters")
        elif self.count and not count:
            logger.info("no dead letters any more")
        self.count = count
        DEPTH.set(count)
