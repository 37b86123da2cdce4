"""
Drift of syncs that other replicas work on: who watches tells it to them, on the bus.

What Flux itself wrote may be their work of this very moment, which their inventory explains when it
is done; only what stays unexplained is told.
"""

import asyncio
from dataclasses import dataclass

import structlog

from services.cluster_applier.domain.drift import Drift
from services.cluster_applier.domain.ledger import Ledger
from shared.bus.port import Bus
from shared.contract import Draft, SyncRequested
from shared.runtime.lifecycle import unless_stopped

logger = structlog.get_logger(__name__)

MOMENT = 0.02
"""Seconds in which drift of several objects becomes one signal."""
EXPLAINED = 5.0
"""Seconds within which an inventory explains what Flux itself wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Noted:
    sync: str
    fields: str
    due: float


class Elsewhere:
    """What of one target is to be told to others."""

    def __init__(self, ledger: Ledger, bus: Bus) -> None:
        self._ledger = ledger
        self._bus = bus
        self._noted: dict[str, _Noted] = {}
        self._changed = asyncio.Event()

    def see(self, sync: str, name: str, drift: Drift) -> None:
        """Note that an object of *sync* is not as its inventory says."""
        due = _now() + (EXPLAINED if drift.by_us else MOMENT)
        known = self._noted.get(name)
        due = min(due, known.due) if known else due
        self._noted[name] = _Noted(sync=sync, fields=drift.fields, due=due)
        self._changed.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Tell what is due, until *stop*."""
        self._noted.clear()
        while not stop.is_set():
            async with unless_stopped(stop):
                await self._wait()
                await self._tell()

    async def _wait(self) -> None:
        self._changed.clear()
        until = min((one.due for one in self._noted.values()), default=None)
        try:
            async with asyncio.timeout_at(until):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _tell(self) -> None:
        now = _now()
        due = {name: one for name, one in self._noted.items() if one.due <= now}
        told: dict[str, list[str]] = {}
        for name, one in due.items():
            if self._ledger.fields(name) != (one.sync, one.fields):
                told.setdefault(one.sync, []).append(name)
        signals = (
            SyncRequested(sync=sync, reason="drift", objects=tuple(names))
            for sync, names in told.items()
        )
        await self._bus.publish(*(Draft(message=one) for one in signals))
        for name, one in due.items():
            if self._noted.get(name) is one:
                del self._noted[name]


def _now() -> float:
    return asyncio.get_running_loop().time()
