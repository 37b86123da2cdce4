"""
A stage's worker: sixteen partitions, in each a lane for every subject.

The replicas of a stage consume all of them; the broker gives each to one. Read `presence` for how
they are spread.

Messages of one subject are worked on one group at a time and in order; subjects run side by side.
What was begun on a channel that is lost is cancelled: it can neither publish nor acknowledge, and
the broker delivers again. Read `settle` for what becomes of a group.
"""

import asyncio
import random
from collections.abc import Mapping

import structlog

from shared.bus import names
from shared.bus.entrance import Entrance
from shared.bus.lane import Held, Lane
from shared.bus.presence import Presence
from shared.bus.publisher import Publisher
from shared.bus.settle import Settler
from shared.bus.transport import ChannelLostError, Delivery, Subscription, Transport
from shared.bus.window import Gathering
from shared.contract import PARTITIONS, Envelope, partition
from shared.contract.codec import MalformedError
from shared.runtime.lifecycle import unless_stopped
from shared.runtime.tasks import cancelled, not_cancelled_by_others

logger = structlog.get_logger(__name__)


class PartitionWorker:
    """Works on all partitions of one service until it is told to stop."""

    def __init__(
        self,
        service: str,
        transport: Transport,
        publisher: Publisher,
        settler: Settler,
        *,
        prefetch: int,
        beat: float,
    ) -> None:
        self.presence = Presence(service, transport, publisher, self._let_go, beat=beat)
        self._service = service
        self._transport = transport
        self._entrance = Entrance(service, transport, receiver=service)
        self._settler = settler
        self._prefetch = prefetch
        self._missing: dict[str, str] = {}
        self._ends: dict[int, asyncio.Event] = {}
        """Set where the epoch of a partition is to end: at a stop, or to yield it."""
        self._epochs: dict[int, _Epoch] = {}

    def problems(self) -> Mapping[str, str]:
        """Return the partitions that cannot be consumed now, and why."""
        return dict(self._missing)

    async def run(self, stop: asyncio.Event) -> None:
        """Consume every partition until *stop*; then finish what is in hand."""
        async with self.presence.announced(), asyncio.TaskGroup() as group:
            for number in range(PARTITIONS):
                group.create_task(self._partition(number, stop), name=self._queue(number))
            await stop.wait()
            for ends in self._ends.values():
                ends.set()

    def take(self, envelope: Envelope) -> bool:
        """Work on a signal of our own where its partition is surely ours; say whether it is."""
        epoch = self._epochs.get(partition(envelope.subject))
        if epoch is None or not epoch.is_active:
            return False
        epoch.put(envelope)
        return True

    def _let_go(self, number: int) -> None:
        """Finish what is in hand of a partition, and subscribe to it anew, behind others."""
        if number in self._ends:
            self._ends[number].set()

    def _queue(self, number: int) -> str:
        return names.queue(self._service, number)

    async def _partition(self, number: int, stop: asyncio.Event) -> None:
        while not stop.is_set():
            async with unless_stopped(stop):
                await self._transport.ready()
            if stop.is_set():
                return
            self._ends[number] = asyncio.Event()
            try:
                with not_cancelled_by_others(ChannelLostError):
                    await self._epoch(number, self._ends[number])
            except* ChannelLostError as lost:
                self._missing[self._queue(number)] = _first(lost)
                await _pause(stop)

    async def _epoch(self, number: int, ends: asyncio.Event) -> None:
        queue = self._queue(number)
        async with self._transport.consume(queue, self._prefetch) as subscription:
            self._missing.pop(queue, None)
            self.presence.subscribed(number)
            try:
                async with asyncio.TaskGroup() as lanes:
                    epoch = _Epoch(queue, self._entrance, self._settler, lanes, ends)
                    self._epochs[number] = epoch
                    await epoch.run(subscription)
            finally:
                del self._epochs[number]
                self.presence.unsubscribed(number)


class _Epoch:
    """What is in hand on one channel of one partition."""

    def __init__(
        self,
        queue: str,
        entrance: Entrance,
        settler: Settler,
        tasks: asyncio.TaskGroup,
        stop: asyncio.Event,
    ) -> None:
        self._is_ours = False
        self._stop = stop
        self._queue = queue
        self._entrance = entrance
        self._settler = settler
        self._tasks = tasks
        self._lanes: dict[str, Lane] = {}
        self._gatherings: dict[str, Gathering] = {}

    @property
    def is_active(self) -> bool:
        """Whether the broker has given us something, as it then does to nobody else."""
        return self._is_ours and not self._stop.is_set()

    async def run(self, subscription: Subscription) -> None:
        """Hand deliveries to their lanes until the end; the task group then waits for the lanes."""
        stopping = asyncio.create_task(self._stop.wait(), name=f"{self._queue} stop")
        coming = asyncio.create_task(subscription.take(), name=f"{self._queue} take")
        try:
            while True:
                await asyncio.wait({coming, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if self._stop.is_set():
                    return
                for delivery in coming.result():
                    await self._admit(delivery)
                self._is_ours = True
                coming = asyncio.create_task(subscription.take(), name=f"{self._queue} take")
        finally:
            self._is_ours = False
            await cancelled(stopping, coming)

    async def _admit(self, delivery: Delivery) -> None:
        try:
            envelope = self._entrance.admit(delivery, queue=self._queue)
        except MalformedError as error:
            await self._settler.bury_unreadable(delivery, error, queue=self._queue)
            return
        self.put(envelope, delivery)

    def put(self, envelope: Envelope, delivery: Delivery | None = None) -> None:
        """Hand a message to the lane of its subject."""
        lane = self._lanes.get(envelope.subject)
        held = Held(envelope=envelope, delivery=delivery, queue=self._queue)
        if lane is not None:
            lane.put(held)
            return
        lane = Lane(envelope.subject, self._settler, self._stop, self._gathering(envelope.subject))
        self._lanes[envelope.subject] = lane
        lane.put(held)
        self._tasks.create_task(self._run(lane), name=f"{self._queue} {envelope.subject}")

    def _gathering(self, subject: str) -> Gathering:
        """Return that of a subject; without a window there is nothing to remember."""
        window = self._settler.window
        if window is None:
            return Gathering(None)
        return self._gatherings.setdefault(subject, Gathering(window))

    async def _run(self, lane: Lane) -> None:
        # Else its messages would be held by nobody, for as long as the channel lives.
        with not_cancelled_by_others(ChannelLostError):
            try:
                await lane.run()
            except ChannelLostError:
                self._is_ours = False  # at once: the other lanes are about to be cancelled
                raise
        del self._lanes[lane.subject]


def _first(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)


async def _pause(stop: asyncio.Event) -> None:
    # Jitter, so that sixteen partitions and many replicas don't knock at the same instant.
    try:
        async with asyncio.timeout(random.uniform(0.2, 0.8)):  # noqa: S311 - jitter is no secret
            await stop.wait()
    except TimeoutError:
        return
