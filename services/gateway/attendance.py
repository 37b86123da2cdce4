"""Knows which stages run: what a replica that is gone had said of its outages does not count."""

import asyncio
from contextlib import aclosing

from services.gateway.domain.view import View
from shared.bus.port import Bus
from shared.bus.spread import GONE
from shared.contract.registry import STAGES
from shared.runtime.lifecycle import unless_stopped

LOOK = 1.0
"""Seconds between two looks at who was heard."""


class Attendance:
    """Listens to the replicas of all stages."""

    def __init__(self, bus: Bus, view: View, *, gone: float = GONE) -> None:
        self._bus = bus
        self._view = view
        self._gone = gone
        self._heard: dict[str, dict[str, float]] = {stage: {} for stage in STAGES}

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until *stop*."""
        async with asyncio.TaskGroup() as group:
            listening = [group.create_task(self._listen(stage), name=stage) for stage in STAGES]
            await self._look_on(stop)
            for task in listening:
                task.cancel()

    async def _listen(self, stage: str) -> None:
        async with aclosing(self._bus.replicas(stage)) as replicas:
            async for said in replicas:
                self._heard[stage][said.replica] = float("-inf") if said.leaving else _now()

    async def _look_on(self, stop: asyncio.Event) -> None:
        """Tell the view who is there, as soon as everybody had the time to say so."""
        since = _now()
        while not stop.is_set():
            if self._bus.problems():  # who hears nothing knows nothing
                since, self._view.present = _now(), None
            elif _now() - since > self._gone:
                self._view.present = {stage: self._there(stage) for stage in STAGES}
            async with unless_stopped(stop):
                await asyncio.sleep(LOOK)

    def _there(self, stage: str) -> frozenset[str]:
        oldest = _now() - self._gone
        heard = {name: when for name, when in self._heard[stage].items() if when >= oldest}
        self._heard[stage] = heard
        return frozenset(heard)


def _now() -> float:
    return asyncio.get_running_loop().time()
