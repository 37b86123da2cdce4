"""
What of one sync is to be looked at again, and asks for it on the bus.

Drift, and what failed for a while. One mechanism applies, and serially: so it is asked for, too.
"""

import asyncio
import random
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

from services.cluster_applier.domain import telling
from services.cluster_applier.domain.drift import GONE, WHOLE, Corrected, Drift, Drifts, Effect
from services.cluster_applier.domain.fields import owned
from services.cluster_applier.domain.ledger import number
from shared.bus.port import Bus
from shared.contract import Draft, Message, SyncRequested
from shared.runtime.lifecycle import unless_stopped

logger = structlog.get_logger(__name__)

SOON = 2.0
LATEST = 60.0
"""Seconds after which what failed for a while is tried again, first and at most."""


class Drifting:
    """Drift of one sync: seen, put back, told, or contested."""

    def __init__(self, sync: str, target: str, bus: Bus) -> None:
        self.drifts = Drifts()
        self.told: list[Message] = []
        """Corrections that wait to be told with the end of a look."""
        self.at_once: Callable[[str], bool] = lambda _: False
        """Puts an object back in the round that is under way; returns whether it can."""
        self._sync = sync
        self._target = target
        self._bus = bus
        self._signalled = asyncio.Event()
        self._delay = SOON
        self._again: float | None = None

    def see(self, name: str, drift: Drift) -> None:
        """Note that an object differs; `run` asks for it to be put back."""
        if self.drifts.see(name, drift) and not self.at_once(name):
            self._signalled.set()

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Ask for nothing within the block: what is seen in it is put back by who looks."""
        self.at_once = lambda _: True
        try:
            yield
        finally:
            self.at_once = lambda _: False

    def answered(
        self, name: str, metadata: Mapping[str, Any], late: Drift | None, *, effect: Effect
    ) -> None:
        """Note what applying an object put right, and what came after it."""
        now = asyncio.get_running_loop().time()
        version, managed = metadata.get("resourceVersion"), metadata.get("managedFields") or ()
        corrected = self.drifts.correct(name, number(version), now, managed, effect=effect)
        if corrected:
            self._tell(name, corrected, now)
        if late:
            self.see(name, late)

    def _tell(self, name: str, corrected: Corrected, now: float) -> None:
        drift, contested = corrected.drift, corrected.contested
        fields = owned(corrected.fields, drift.managed)
        which = corrected.fields if contested & {GONE, WHOLE} else contested
        insisted = owned(which, drift.managed) if contested else None
        put = telling.PutBack(name=name, drift=drift, fields=fields, contested=insisted, at=now)
        self.told += telling.corrected(self._sync, self._target, put)
        tell = logger.error if contested else logger.info
        said = "drift contested" if contested else "drift corrected"
        named = [str(one) for one in insisted or fields]
        tell(said, object=name, what=drift.what, manager=drift.manager, fields=named)

    def ended(self, gone: Collection[str], *, unfinished: bool, at_least: float = 0.0) -> None:
        """
        Note the end of a look: what is not ours to put back, and whether to look again soon.

        *at_least*: seconds before which the API server does not want to be asked again.
        """
        for name in gone:
            self.drifts.pending.pop(name, None)
        if not unfinished:
            self._delay, self._again = SOON, None
            return
        delay = max(self._delay, at_least) * random.uniform(1.0, 1.25)  # noqa: S311 - jitter
        self._again = asyncio.get_running_loop().time() + delay
        self._delay = min(self._delay * 2, LATEST)
        self._signalled.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Ask on the bus for what is due, until *stop*; what it can't take now waits."""
        while not stop.is_set():
            async with unless_stopped(stop):
                await self._wait()
                if self.drifts.pending:
                    await self._ask("drift", *self.drifts.pending)
                if self._again is not None and self._again <= asyncio.get_running_loop().time():
                    self._again = None
                    await self._ask("again")

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout_at(self._again):
                await self._signalled.wait()
        except TimeoutError:
            return
        self._signalled.clear()

    async def _ask(self, reason: str, *objects: str) -> None:
        signal = SyncRequested(sync=self._sync, reason=reason, objects=objects)
        await self._bus.publish(Draft(message=signal))
