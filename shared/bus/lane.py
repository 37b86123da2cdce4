"""One subject's messages: gathered, handed over as a group, kept while a dependency is down."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from shared.bus.transport import Delivery
from shared.bus.window import Gathering
from shared.contract import Envelope, Order
from shared.runtime import faults
from shared.runtime.lifecycle import unless_stopped

KEPT = 200
"""So many facts and signals a subject keeps while its dependency is down; the newest count."""


@dataclass(slots=True, kw_only=True)
class Held:
    """A message in hand."""

    envelope: Envelope
    delivery: Delivery | None
    """None where the broker knows nothing of it: we said it to ourselves."""
    queue: str
    since: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    came: datetime = field(default_factory=lambda: datetime.now(UTC))
    accepted: bool = False
    acked: bool = False

    @property
    def is_order(self) -> bool:
        """Whether a person waits for it."""
        return isinstance(self.envelope.message, Order)

    async def ack(self) -> None:
        """Acknowledge it once."""
        if self.delivery and not self.acked:
            await faults.reach("ack.before")
            await self.delivery.ack()
            self.acked = True
            await faults.reach("ack.after")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What of a group is tried again, and after how many seconds."""

    group: tuple[Held, ...]
    retry_after: float
    at_least: float
    """Seconds before which not even a newcomer is a reason to try again."""


class Settles(Protocol):
    """What a lane hands its groups to."""

    async def settle(self, subject: str, group: Sequence[Held]) -> Kept | None:
        """Work *group* off; return what must be tried again later, or None."""


class Lane:
    """Everything in hand for one subject; runs until nothing is left or *stop* is set."""

    def __init__(
        self, subject: str, settler: Settles, stop: asyncio.Event, gathering: Gathering
    ) -> None:
        self.subject = subject
        self._settler = settler
        self._stop = stop
        self._pending: list[Held] = []
        self._gathering = gathering
        self._came = asyncio.Event()

    def put(self, held: Held) -> None:
        """Add a newcomer, in order."""
        self._pending.append(held)
        self._gathering.touch(held.envelope)
        self._came.set()

    async def run(self) -> None:
        """Work off what is pending, group by group."""
        kept: Kept | None = None
        while self._pending and not self._stop.is_set():
            if kept:
                await self._rest(kept)
            else:
                await self._gathering.wait_closed(self._envelopes, self._stop)
            if self._stop.is_set():
                return
            group, self._pending = self._pending, []
            self._came.clear()
            kept = await self._settler.settle(self.subject, group)
            self._gathering.end()
            self._pending = [*(kept.group if kept else ()), *self._pending]

    async def _rest(self, kept: Kept) -> None:
        """Wait before the next try; who comes meanwhile may know that things have changed."""
        if await self._stopped_within(kept.at_least):
            return
        with suppress(TimeoutError):
            async with (
                asyncio.timeout(kept.retry_after - kept.at_least),
                unless_stopped(self._stop),
            ):
                await self._came.wait()

    async def _stopped_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        return self._stop.is_set()

    def _envelopes(self) -> list[Envelope]:
        return [held.envelope for held in self._pending]
