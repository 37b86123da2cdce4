"""What was said on the bus, and what lies in its queues: for checks, and for whoever looks back."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

import aiohttp

from sandbox.installation import Installation
from shared.bus import rabbit
from shared.bus.names import LOG
from shared.bus.port import Bus
from shared.contract import (
    Envelope,
    Message,
    OrderCompleted,
    OrderRejected,
    UpdatePushed,
    WorkloadChanged,
)
from shared.runtime.tasks import owned

_LONGEST = 240
"""Characters of a message that are told."""


class History:
    """Every event of an installation, as `flux.log` has it."""

    def __init__(self, flux: Installation, namespace: str, bus: Bus) -> None:
        self._flux = flux
        self._bus = bus
        self._namespace = namespace
        self._events: list[tuple[int, Envelope]] = []
        self._began = 0
        self._came = asyncio.Event()

    def begin(self) -> None:
        """Tell from now on only what comes now."""
        self._began = len(self._events)

    def of(self, kind: type[Message]) -> list[Envelope]:
        """Return all events of a type, since ever."""
        return [one for _, one in self._events if isinstance(one.message, kind)]

    def pushed(self) -> set[str]:
        """Return the revisions of which it was told that they were pushed."""
        messages = (one.message for one in self.of(UpdatePushed))
        return {one.revision for one in messages if isinstance(one, UpdatePushed)}

    def ended(self) -> set[str]:
        """Return the jobs whose order has ended."""
        return {one.correlationid for kind in _ENDS for one in self.of(kind)}

    async def follow(self) -> None:
        """Take in all events, for ever."""
        async with aclosing(self._bus.events(LOG)) as events:
            async for found in events:
                self._events.append(found)

    async def told(self) -> str:
        """Return the messages since the beginning, the depths of the queues, the dead letters."""
        new = self._events[self._began :]
        lines = [_line(offset, one) for offset, one in new if self._is_ours(one.message)]
        depths, letters = await self._depths(), await self._letters()
        return "\n".join(
            ["--- flux.log", *lines, "--- queues", *depths, "--- dead letters", *letters]
        )

    def _is_ours(self, message: Message) -> bool:
        """Leave out the workloads of other worlds on the same cluster."""
        return not isinstance(message, WorkloadChanged) or message.id.startswith(
            f"{self._namespace}:"
        )

    async def _depths(self) -> Sequence[str]:
        broker, vhost = self._flux.place.broker, self._flux.amqp_url.rpartition("/")[2]
        login = aiohttp.encode_basic_auth(broker.username, broker.password)
        async with (
            aiohttp.ClientSession(headers={"Authorization": login}) as session,
            session.get(f"{broker.management_url}/api/queues/{vhost}") as answer,
        ):
            queues = await answer.json()
        return [
            f"{one['name']}: {one['messages_ready']} ready, {one['messages_unacknowledged']} held"
            for one in queues
            if one.get("messages") and one.get("type") != "stream"
        ] or ["all are empty"]

    async def _letters(self) -> Sequence[str]:
        async with self._bus.dead_letters() as letters:
            return [
                f"{one.type} about {one.subject} by {one.source}, from {one.queue}: {one.reason}; "
                f"{one.tries} tries, came {one.first}, buried {one.buried}, of {one.correlation}"
                async for one in letters
            ] or ["there are none"]


_ENDS = (OrderCompleted, OrderRejected)


@asynccontextmanager
async def history(flux: Installation, namespace: str) -> AsyncIterator[History]:
    """Follow the events of *flux*, which works on *namespace*, for the length of the block."""
    async with rabbit.connect(flux.amqp_url, source="/test/history") as bus:
        found = History(flux, namespace, bus)
        async with owned(found.follow(), "history"):
            yield found


def _line(offset: int, one: Envelope) -> str:
    what = one.message.model_dump_json(exclude_defaults=True)
    who = one.source.split("/")[1]
    cause = (one.causationid or "nothing")[-8:]
    text = what if len(what) <= _LONGEST else f"{what[:_LONGEST]}..."
    return f"{offset} {one.time:%H:%M:%S.%f} {who}: {one.type} {one.id[-8:]} by {cause} {text}"
