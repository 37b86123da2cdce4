"""
Who can't reach what of a cluster: told once when it goes, once when the last one is back.

Many watches fail together and recover one by one; that is one outage.
"""

import asyncio

from shared.bus.port import Bus
from shared.runtime.errors import TemporaryError


class Reach:
    """What the watches of one target can't reach now."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._missing: dict[str, str] = {}
        """By watch: the dependency that it waits for."""
        self._back = asyncio.Event()
        self.returns = 0
        """How often somebody got through again."""

    async def lost(self, who: str, error: TemporaryError) -> None:
        """Note that *who* waits for a dependency."""
        if self._missing.get(who) != error.dependency:
            await self.found(who)
        self._missing[who] = error.dependency
        await self._bus.down(error)

    async def found(self, who: str) -> None:
        """Note that *who* got what it needs; those who wait for the same try at once."""
        dependency = self._missing.pop(who, None)
        if dependency is None:
            return
        self.returns += 1
        self._back.set()
        self._back = asyncio.Event()
        if dependency not in self._missing.values():
            await self._bus.up(dependency)

    async def rest(self, seconds: float) -> None:
        """Wait, but no longer than until somebody gets through again."""
        try:
            async with asyncio.timeout(seconds):
                await self._back.wait()
        except TimeoutError:
            return
