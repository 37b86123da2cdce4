"""The bus: throughput of a worker beside a bare aio_pika loop that does the same; see `latency`."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import aio_pika

from benchmarks import latency
from benchmarks.row import Row, at_least, median
from sandbox.broker import rabbitmq
from sandbox.virtual_host import virtual_host
from shared.bus import names, rabbit
from shared.bus.client import Client
from shared.bus.layout import topology
from shared.bus.port import Outcome
from shared.bus.topology import declare
from shared.contract import Draft, Envelope, PollRequested, ScanCompleted, partition

MESSAGES = 5_000
TURNS = 5
IN_FLIGHT = 100
"""Publishes at once, ours and the bare ones."""
OF_A_SUBJECT = 5
"""Messages, and so the events of one group."""
SUBJECTS = tuple(f"repository-{number}#main" for number in range(MESSAGES // OF_A_SUBJECT))


async def measure() -> list[Row]:
    """Measure one worker with a handler that publishes one event a message."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="flux-bench-")))
        broker = await stack.enter_async_context(rabbitmq(directory))
        url = await stack.enter_async_context(virtual_host(broker))
        await declare(topology([]), amqp_url=url, management_url=broker.management_url)
        bus = await stack.enter_async_context(rabbit.connect(url, source="/bench"))
        return [await _throughput(url, bus), await latency.measure(url)]


async def _throughput(url: str, bus: Client) -> Row:
    ours, bare = [], []
    for _ in range(TURNS):
        await _fill(bus)
        bare.append(await _bare(url))
        await _fill(bus)
        ours.append(await _worker(bus))
    floor = median(bare)
    return at_least("bus.worker", median(ours), "messages/s", floor=floor, bar=0.6 * floor)


async def _fill(bus: Client) -> None:
    drafts = [
        Draft(message=PollRequested(repository=SUBJECTS[number % len(SUBJECTS)]))
        for number in range(MESSAGES)
    ]
    await bus.publish(*drafts)


async def _worker(bus: Client) -> float:
    stop, done = asyncio.Event(), 0

    async def on_group(subject: str, messages: Sequence[Envelope]) -> Outcome:
        nonlocal done
        done += len(messages)
        if done >= MESSAGES:
            stop.set()
        event = ScanCompleted(image=subject, tags=1, seconds=0, requests=1, found=0)
        return Outcome(events=tuple(Draft(message=event, cause=one) for one in messages))

    begin = time.perf_counter()
    parallel = IN_FLIGHT // OF_A_SUBJECT
    await bus.worker("git-watcher", on_group, parallel=parallel)(stop)
    return MESSAGES / (time.perf_counter() - begin)


async def _bare(url: str) -> float:
    """Consume, publish with confirms, acknowledge: 100 at a time, in all partitions."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(names.EVENTS, ensure=False)
        slots, finished, done = asyncio.Semaphore(IN_FLIGHT), asyncio.Event(), 0

        async def on_message(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            nonlocal done
            async with slots:
                copy = aio_pika.Message(
                    message.body,
                    headers=message.headers,
                    delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                )
                await exchange.publish(copy, "scan.completed.v1.0")
                await message.ack()
            done += 1
            if done == MESSAGES:
                finished.set()

        begin = time.perf_counter()
        for number in sorted({partition(subject) for subject in SUBJECTS}):
            inbox = await connection.channel()
            await inbox.set_qos(200)
            queue = await inbox.get_queue(names.queue("git-watcher", number), ensure=False)
            await queue.consume(on_message)
        await finished.wait()
        return MESSAGES / (time.perf_counter() - begin)
