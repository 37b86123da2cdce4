"""Tells how workloads do, when it changes; many changes of a moment are one."""

import asyncio
from collections.abc import Mapping
from typing import Any

from services.cluster_applier.domain.ledger import Ledger
from services.cluster_applier.domain.status import images, rollout, state
from shared.bus.port import Bus
from shared.contract import Draft, WorkloadChanged
from shared.manifests import ObjectId
from shared.runtime.tasks import cancelled

MOMENT = 0.05
"""Seconds in which changes of one workload become one message."""
AGAIN = 3600.0
"""Seconds after which everything is said again, for those who came later."""


class Live:
    """The workloads of one target as they are now."""

    def __init__(self, target: str, ledger: Ledger, bus: Bus) -> None:
        self._target = target
        self._ledger = ledger
        self._bus = bus
        self._now: dict[str, WorkloadChanged] = {}
        self._told: dict[str, WorkloadChanged] = {}
        self._changed = asyncio.Event()

    def see(self, named: ObjectId, value: Mapping[str, Any] | None) -> None:
        """Take in a workload as a watch shows it."""
        name = str(named.workload)
        if value is None:
            gone = WorkloadChanged(sync="", target=self._target, id=name, status="gone")
            self._now[name] = gone
        else:
            seen = rollout(value)
            self._now[name] = WorkloadChanged(
                sync=self._ledger.owner(str(named)) or "",
                target=self._target,
                id=name,
                containers=images(value),
                status=state(value, seen),
                rollout=seen,
                labels=value["metadata"].get("labels") or {},
            )
        self._changed.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Tell what changes until *stop*."""
        stopping = asyncio.create_task(stop.wait(), name="stop")
        telling = asyncio.create_task(self._tell_always(), name="tell workloads")
        try:
            await asyncio.wait({stopping, telling}, return_when=asyncio.FIRST_COMPLETED)
            if telling.done():
                telling.result()
        finally:
            await cancelled(stopping, telling)

    async def _tell_always(self) -> None:
        loop = asyncio.get_running_loop()
        again = loop.time() + AGAIN
        while True:
            try:
                async with asyncio.timeout_at(again):
                    await self._changed.wait()
            except TimeoutError:
                self._told.clear()
                again = loop.time() + AGAIN
            await asyncio.sleep(MOMENT)
            self._changed.clear()
            await self._tell()

    async def _tell(self) -> None:
        news = {name: one for name, one in self._now.items() if self._told.get(name) != one}
        await self._bus.publish(*(Draft(message=one) for one in news.values()))
        self._told |= news
        for name, one in news.items():
            if one.status == "gone" and self._now.get(name) is one:
                del self._now[name], self._told[name]
