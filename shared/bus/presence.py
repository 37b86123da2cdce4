"""
Tells the other replicas of a stage that we are there, and learns from them what is to be yielded.

Nothing depends on it but how evenly work is spread: who hears nobody keeps what the broker gives.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress

import structlog
from prometheus_client import Gauge

from shared.bus import names
from shared.bus.entrance import Entrance
from shared.bus.publisher import Publisher
from shared.bus.spread import Members
from shared.bus.transport import Transport
from shared.contract import Draft, ReplicaPresent
from shared.contract.codec import MalformedError
from shared.runtime.tasks import owned

logger = structlog.get_logger(__name__)

MOMENT = 0.05
"""Seconds in which several subscriptions become one announcement."""
PARTING = 1.0
"""Seconds for the last word; who does not hear it misses us soon."""

REPLICAS = Gauge("flux_bus_replicas", "Replicas of the stage that are heard of", ["service"])


async def announcements(transport: Transport, service: str) -> AsyncGenerator[ReplicaPresent, None]:
    """Yield what the replicas of a stage say of themselves, for ever."""
    entrance = Entrance(names.PRESENCE, transport)
    async with aclosing(transport.listen(names.PRESENCE, service)) as deliveries:
        async for delivery in deliveries:
            try:
                said = entrance.admit(delivery).message
            except MalformedError as error:
                logger.warning("announcement skipped", why=str(error))
                continue
            if isinstance(said, ReplicaPresent):
                yield said


class Presence:
    """One replica of one stage."""

    def __init__(
        self,
        service: str,
        transport: Transport,
        publisher: Publisher,
        let_go: Callable[[int], None],
        *,
        beat: float,
    ) -> None:
        self._beat = beat
        self._service = service
        self._transport = transport
        self._publisher = publisher
        self._let_go = let_go
        self._members = Members(own=publisher.source)
        self._consumed: dict[int, int] = {}
        self._subscriptions = 0
        self._news = asyncio.Event()

    def subscribed(self, number: int) -> None:
        """Note that we consume a partition from now on."""
        self._subscriptions += 1
        self._consumed[number] = self._subscriptions
        self._news.set()

    def unsubscribed(self, number: int) -> None:
        """Note that we consume a partition no more."""
        self._consumed.pop(number, None)

    def is_first_choice(self, number: int) -> bool:
        """Tell whether a partition should be ours."""
        return self._members.first_choice(number) == self._members.own

    @asynccontextmanager
    async def announced(self) -> AsyncIterator[None]:
        """Be there for the length of the block, and say so at its end that we are not any more."""
        async with (
            owned(self._listen(), f"{self._service} listen"),
            owned(self._announce(), f"{self._service} announce"),
        ):
            yield
        with suppress(TimeoutError):
            async with asyncio.timeout(PARTING):
                await self._say(leaving=True)

    async def _announce(self) -> None:
        while True:
            self._news.clear()
            await self._say()
            self._look()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._beat):
                    await self._news.wait()
            await asyncio.sleep(MOMENT)

    async def _listen(self) -> None:
        async with aclosing(announcements(self._transport, self._service)) as heard:
            async for said in heard:
                self._hear(said)

    def _hear(self, said: ReplicaPresent) -> None:
        if self._members.hear(said, _now()):
            self._news.set()  # a newcomer need not wait for our next beat
        self._look()

    def _look(self) -> None:
        """Let go of what others should have."""
        self._members.forget(_now())
        REPLICAS.labels(self._service).set(self._members.count)
        for number in self._members.to_yield(tuple(self._consumed), _now()):
            logger.debug("partition yielded", service=self._service, partition=number)
            self._let_go(number)

    async def _say(self, *, leaving: bool = False) -> None:
        present = ReplicaPresent(
            service=self._service,
            replica=self._members.own,
            partitions=dict(self._consumed),
            leaving=leaving,
        )
        await self._publisher.publish(Draft(message=present))


def _now() -> float:
    return asyncio.get_running_loop().time()
