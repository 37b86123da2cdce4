"""The gateway at its start: 100,000 events read from the log into its view."""

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import aio_pika

from benchmarks import events
from benchmarks.row import Row, at_least, median
from sandbox.broker import rabbitmq
from sandbox.virtual_host import virtual_host
from services.gateway.checkpoint import Checkpoint
from services.gateway.domain.view import View
from services.gateway.follow import Follower
from services.gateway.stream import Listeners
from shared.bus import names, rabbit
from shared.bus.client import Client
from shared.bus.layout import topology
from shared.bus.topology import declare
from shared.runtime import garbage

EVENTS = 100_000
TURNS = 3
PREFETCH = 200


async def measure(count: int = EVENTS) -> list[Row]:
    """Measure in turns with a bare consumer of the same stream."""
    garbage.collect_seldom()
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="flux-bench-")))
        broker = await stack.enter_async_context(rabbitmq(directory / "broker"))
        url = await stack.enter_async_context(virtual_host(broker))
        await declare(topology([]), amqp_url=url, management_url=broker.management_url)
        bus = await stack.enter_async_context(rabbit.connect(url, source="/bench"))
        await bus.publish(*events.events(count))
        ours, bare = [], []
        for turn in range(TURNS):
            bare.append(count / await _bare(url, count))
            ours.append(count / await _replay(bus, directory / f"state-{turn}", count))
    floor = median(bare)
    return [at_least("gateway.replay", median(ours), "events/s", floor=floor, bar=0.7 * floor)]


async def _replay(bus: Client, directory: Path, count: int) -> float:
    view, stop = View(events.TARGET, events.REPOSITORIES), asyncio.Event()
    checkpoint = Checkpoint(directory / "view.checkpoint", of="bench")
    follower = Follower(bus, view, Listeners(), checkpoint)
    begin = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        group.create_task(follower.run(stop))
        while follower.folded < count:
            await asyncio.sleep(0.01)
        seconds = time.perf_counter() - begin
        stop.set()
    assert len(view.declared) == events.SYNCS
    return seconds


async def _bare(url: str, count: int) -> float:
    """Consume and acknowledge, and do nothing else."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.set_qos(PREFETCH)
        log = await channel.get_queue(names.LOG, ensure=False)
        finished, done = asyncio.Event(), 0

        async def on_message(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            nonlocal done
            await message.ack()
            done += 1
            if done == count:
                finished.set()

        begin = time.perf_counter()
        await log.consume(on_message, arguments={"x-stream-offset": "first"})
        await finished.wait()
        return time.perf_counter() - begin
