"""Folds the log into the view: what there is at the start, then live."""

import asyncio
from contextlib import aclosing

from services.gateway.domain.view import View
from services.gateway.stream import Listeners
from shared.bus.names import LOG
from shared.bus.port import Bus

IDLE = 0.3
"""Seconds of silence after which the log is taken as read to its end."""


class Follower:
    """Keeps the view up to date, and tells *listeners* what is new."""

    def __init__(self, bus: Bus, view: View, listeners: Listeners, *, idle: float = IDLE) -> None:
        self._bus = bus
        self._view = view
        self._listeners = listeners
        self._idle = idle
        self.folded = 0
        """Events folded so far."""
        self._caught_up = asyncio.Event()

    def problem(self) -> str | None:
        """Say what `/readyz` should, as long as the past is not read."""
        if self._caught_up.is_set():
            return None
        return f"reading the log, {self.folded} events so far"

    async def wait_caught_up(self, timeout: float) -> bool:
        """Return whether the past was read within *timeout* seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._caught_up.wait()
        except TimeoutError:
            return False
        return True

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
            async for offset, envelope in events:
                self._view.fold(envelope)
                self.folded += 1
                if self._caught_up.is_set():
                    self._listeners.tell(offset, envelope)

    async def _watch_for_silence(self) -> None:
        before = -1
        # The log is never empty for good: every stage speaks when it starts, but not at once.
        while self._bus.problems() or self.folded != before:
            before = self.folded
            await asyncio.sleep(self._idle)
        self._caught_up.set()
