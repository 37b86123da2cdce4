"""Folds the log into the view: what there is at the start, then live."""

import asyncio
from contextlib import aclosing

from services.gateway.domain.view import View
from shared.bus.names import LOG
from shared.bus.port import Bus

IDLE = 0.3
"""Seconds of silence after which the log is taken as read to its end."""


class Follower:
    """Keeps the view up to date."""

    def __init__(self, bus: Bus, view: View) -> None:
        self._bus = bus
        self._view = view
        self._folded = 0
        self._caught_up = False

    def problem(self) -> str | None:
        """Say what `/readyz` should, as long as the past is not read."""
        return None if self._caught_up else f"reading the log, {self._folded} events so far"

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the log until *stop*."""
        async with asyncio.TaskGroup() as group:
            tasks = (
                group.create_task(self._follow(), name="follow the log"),
                group.create_task(self._watch_for_silence(), name="catch up"),
            )
            await stop.wait()
            for task in tasks:
                task.cancel()

    async def _follow(self) -> None:
        async with aclosing(self._bus.events(LOG)) as events:
            async for _, envelope in events:
                self._view.fold(envelope)
                self._folded += 1

    async def _watch_for_silence(self) -> None:
        before = -1
        # The log is never empty for good: every stage speaks when it starts, but not at once.
        while self._bus.problems() or self._folded != before:
            before = self._folded
            await asyncio.sleep(IDLE)
        self._caught_up = True
