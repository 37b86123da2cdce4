"""Learns what git declares from the stream of declarations, and asks for a scan of what is new."""

import asyncio
from contextlib import aclosing

from services.registry_scanner.domain.wanted import Wanted
from shared.bus.names import DECLARED
from shared.bus.port import Bus
from shared.contract import Draft, Envelope, ScanRequested, StateDeclared


class Declared:
    """Folds `flux.declared` from its start; every replica does."""

    def __init__(self, bus: Bus, wanted: Wanted) -> None:
        self._bus = bus
        self._wanted = wanted

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the declarations until *stop*."""
        async with asyncio.TaskGroup() as group:
            following = group.create_task(self._follow(), name="follow declarations")
            await stop.wait()
            following.cancel()

    async def _follow(self) -> None:
        async with aclosing(self._bus.events(DECLARED)) as events:
            async for _, envelope in events:
                await self._take(envelope)

    async def _take(self, envelope: Envelope) -> None:
        if not isinstance(envelope.message, StateDeclared):
            return
        new = self._wanted.fold(envelope.message)
        await self._bus.publish(
            *(
                Draft(message=ScanRequested(image=image, reason="declared"), cause=envelope)
                for image in sorted(new)
            )
        )
