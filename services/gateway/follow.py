"""
Folds the log into the view: from the checkpoint or from its beginning, then live.

A checkpoint counts only if the log still holds the very event that it ends with: after the broker
lost its data, or kept less than we were away, the log begins anew and so does the view.
"""

import asyncio
from contextlib import aclosing, suppress

from services.gateway.checkpoint import Checkpoint, Place
from services.gateway.domain import memory
from services.gateway.domain.view import View
from services.gateway.stream import Listeners
from shared.bus.names import LOG
from shared.bus.port import Bus
from shared.runtime.lifecycle import unless_stopped

IDLE = 0.3
"""Seconds of silence after which the log is taken as read to its end."""
PATIENCE = 5.0
"""Seconds for the log to show the event that a checkpoint ends with."""
EVERY = 300.0
"""Seconds between two checkpoints, where anything was folded; a restart reads what came since."""


class Follower:
    """Keeps the view up to date, and tells *listeners* what is new."""

    def __init__(
        self,
        bus: Bus,
        view: View,
        listeners: Listeners,
        checkpoint: Checkpoint,
        *,
        idle: float = IDLE,
        patience: float = PATIENCE,
        every: float = EVERY,
    ) -> None:
        self._bus = bus
        self._view = view
        self._listeners = listeners
        self._checkpoint = checkpoint
        self._idle = idle
        self._patience = patience
        self._every = every
        self.folded = 0
        """Events folded so far."""
        self.place: Place | None = None
        """The last event that the view knows."""
        self._saved: Place | None = None
        self._reading = asyncio.Event()
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
        """Follow the log until *stop*; then keep what is known."""
        async with unless_stopped(stop), asyncio.TaskGroup() as group:
            group.create_task(self._follow(), name="follow the log")
            group.create_task(self._watch_for_silence(), name="catch up")
            group.create_task(self._save_again(), name="save now and then")
        await self._save()

    async def _follow(self) -> None:
        await self._recall()
        start = self.place.offset + 1 if self.place else "first"
        self._reading.set()
        async with aclosing(self._bus.events(LOG, start)) as events:
            async for offset, envelope in events:
                self._view.fold(envelope)
                self.place = Place(offset=offset, id=envelope.id)
                self.folded += 1
                if self._caught_up.is_set():
                    self._listeners.tell(offset, envelope)

    async def _recall(self) -> None:
        """Know what was known at the checkpoint, if it is one of this log."""
        saved = await self._checkpoint.load()
        if saved is None:
            return
        if await self._first(saved.place.offset) != saved.place:
            await self._checkpoint.forget("the log no longer holds the event that it ends with")
            return
        memory.recall(self._view, saved.things)
        self.place = self._saved = saved.place

    async def _first(self, offset: int) -> Place | None:
        """Return the first event of the log from *offset* on, or None where there is none."""
        while True:
            with suppress(TimeoutError):
                async with (
                    asyncio.timeout(self._patience),
                    aclosing(self._bus.events(LOG, offset)) as events,
                ):
                    async for found, envelope in events:
                        return Place(offset=found, id=envelope.id)
            if not self._bus.problems():  # else nobody can know
                return None

    async def _watch_for_silence(self) -> None:
        await self._reading.wait()
        before = -1
        # The log is never empty for good: every stage speaks when it starts, but not at once.
        while self._bus.problems() or self.folded != before:
            before = self.folded
            await asyncio.sleep(self._idle)
        self._caught_up.set()

    async def _save_again(self) -> None:
        await self._caught_up.wait()
        while True:
            await self._save()
            await asyncio.sleep(self._every)

    async def _save(self) -> None:
        if self.place is None or self.place == self._saved:
            return
        place = self.place
        await self._checkpoint.save(place, memory.things(self._view))
        self._saved = place
