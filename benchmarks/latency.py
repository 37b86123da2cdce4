"""One message through an idle stage: from its publish to the confirm of what is said of it."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import aio_pika

from benchmarks.row import Row, at_most, median, timed
from shared.bus import names, rabbit
from shared.bus.client import client
from shared.bus.port import Outcome, Pace
from shared.bus.rabbit import Rabbit
from shared.bus.transport import Packet
from shared.contract import Draft, Envelope, PollRequested, ScanCompleted, ScanRequested

MESSAGES = 100
"""In each of so many turns ..."""
TURNS = 5
WARM_UP = 20
SUBJECT = "repository#main"
RESULT = ScanCompleted(image=SUBJECT, tags=1, seconds=0, requests=1, found=0)


class _Confirming:
    """A transport that tells when an event was confirmed; all else is RabbitMQ's."""

    def __init__(self, rabbit: Rabbit) -> None:
        self._rabbit = rabbit
        self.confirmed = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rabbit, name)

    async def publish(self, packet: Packet) -> None:
        await self._rabbit.publish(packet)
        if packet.exchange == names.EVENTS:
            self.confirmed.set()


async def measure(url: str) -> Row:
    """Measure in turns with two bare publishes, each confirmed before the next."""
    ours, bare = [], []
    for _ in range(TURNS):
        bare += await _bare(url)
        ours += await _through_a_stage(url)
    floor = median(bare)
    return at_most("bus.latency", median(ours), "s", floor=floor, bar=2 * floor + 0.003)


async def _through_a_stage(url: str) -> list[float]:
    async with rabbit.transport(url, source="/bench") as broker:
        confirming, stop = _Confirming(broker), asyncio.Event()

        async def on_group(_: str, messages: Sequence[Envelope]) -> Outcome:
            return Outcome(events=tuple(Draft(message=RESULT, cause=one) for one in messages))

        async with (
            client(confirming, "/bench", prefetch=200, pace=Pace()) as bus,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(bus.worker("git-watcher", on_group)(stop))

            async def one() -> None:
                confirming.confirmed.clear()
                await bus.publish(Draft(message=PollRequested(repository=SUBJECT)))
                await confirming.confirmed.wait()

            times = [await timed(one) for _ in range(WARM_UP + MESSAGES)]
            stop.set()
    return times[WARM_UP:]


async def _bare(url: str) -> list[float]:
    # To a stage that nobody runs, so that the other turns don't meet them.
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        commands = await channel.get_exchange(names.COMMANDS, ensure=False)
        events = await channel.get_exchange(names.EVENTS, ensure=False)
        body, times = RESULT.model_dump_json().encode(), []
        for _ in range(WARM_UP + MESSAGES):
            begin = time.perf_counter()
            for exchange, key in (
                (commands, names.routing_key(ScanRequested(image=SUBJECT))),
                (events, names.routing_key(RESULT)),
            ):
                message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
                await exchange.publish(message, key)
            times.append(time.perf_counter() - begin)
    return times[WARM_UP:]
