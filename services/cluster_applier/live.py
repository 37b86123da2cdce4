"""Tells how workloads and custom resources do when it changes; many changes of a moment are one."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from services.cluster_applier.domain.health import health, is_custom, tells_health
from services.cluster_applier.domain.ledger import Ledger
from services.cluster_applier.domain.status import KINDS, images, rollout, state
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

    def __init__(self, target: str, ledger: Ledger, bus: Bus, held: Callable[[], bool]) -> None:
        self._target = target
        self._ledger = ledger
        self._bus = bus
        self._held = held
        """Whether it is for us to tell."""
        self._now: dict[str, WorkloadChanged] = {}
        """By object id; whose it is, is looked up when it is told."""
        self._told: dict[str, WorkloadChanged] = {}
        self._new: set[str] = set()
        self._changed = asyncio.Event()

    def see(self, named: ObjectId, value: Mapping[str, Any] | None) -> None:
        """Take in a workload as a watch shows it."""
        is_silent = is_custom(named.group) and (value is None or not tells_health(value))
        if not self._held() or (is_silent and str(named) not in self._now):
            return
        self._now[str(named)] = self._as_told(str(named.workload), value)
        self._look(str(named))

    def _as_told(self, name: str, value: Mapping[str, Any] | None) -> WorkloadChanged:
        if value is None:
            return WorkloadChanged(sync="", target=self._target, id=name, status="gone")
        seen, doing = rollout(value), health(value)
        return WorkloadChanged(
            sync="",
            target=self._target,
            id=name,
            containers=images(value),
            status=state(value, seen, doing),
            rollout=seen,
            health=doing.state,
            message=doing.message,
            labels=value["metadata"].get("labels") or {},
        )

    def owned(self, names: Iterable[str]) -> None:
        """Tell those of *names* again of which it was not known whose they are."""
        for name in names:
            if name in self._now:
                self._look(name)

    def _look(self, name: str) -> None:
        self._new.add(name)
        self._changed.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Tell what changes until *stop*."""
        for known in (self._now, self._told, self._new):
            known.clear()
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
                self._new |= self._now.keys()
                again = loop.time() + AGAIN
            await asyncio.sleep(MOMENT)
            self._changed.clear()
            await self._tell()

    async def _tell(self) -> None:
        looked, self._new = self._new, set()
        if not self._held():
            return
        now = {name: self._owned(name) for name in looked if self._is_told(name)}
        news = {name: one for name, one in now.items() if self._told.get(name) != one}
        try:
            await self._bus.publish(*(Draft(message=one) for one in news.values()))
        except BaseException:
            self._new |= looked
            raise
        self._told |= news
        for name, one in news.items():
            if one.status == "gone" and self._now[name].status == "gone":
                del self._now[name], self._told[name]

    def _is_told(self, name: str) -> bool:
        """Tell whether somebody is to know: of what is no workload of Flux v1 only what is ours."""
        if name not in self._now:
            return False
        named = ObjectId.parse(name)
        ours = self._ledger.owner(name) is not None or name in self._told
        return ours or named.key in KINDS

    def _owned(self, name: str) -> WorkloadChanged:
        owner = self._ledger.owner(name) or ""
        return self._now[name].model_copy(update={"sync": owner})
