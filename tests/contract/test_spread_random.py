"""Whoever starts, stops or is killed in whatever order: partitions are soon spread evenly."""

import asyncio
import os
import random
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from shared.bus.client import Client
from shared.bus.port import Outcome, Pace
from shared.contract import PARTITIONS, Draft, Envelope, PollRequested, partition
from tests.contract.brokers import BrokerUnderTest
from tests.contract.test_bus import SUBJECTS

STEPS = 6
MOST = 5
SPREAD = 10.0
"""Seconds in which it must be so; twice as many are waited for, since a machine may be busy."""


@dataclass(slots=True)
class Replicas:
    """Those that run, and who worked on each partition last."""

    broker: BrokerUnderTest
    running: dict[str, tuple[asyncio.Task[None], asyncio.Event]] = field(default_factory=dict)
    by: dict[int, str] = field(default_factory=dict)
    started: int = 0

    async def start(self) -> str:
        self.started += 1
        name, stop = f"r{self.started}", asyncio.Event()
        self.running[name] = asyncio.create_task(self._run(name, stop)), stop
        return f"start {name}"

    async def stop(self, name: str) -> str:
        """Have it go in good order."""
        task, stop = self.running.pop(name)
        stop.set()
        await task
        return f"stop {name}"

    async def kill(self, name: str) -> str:
        """Have it go without a word: its connections end, and nobody hears that it leaves."""
        task, _ = self.running.pop(name)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return f"kill {name}"

    def shares(self) -> list[int]:
        """Return how many partitions each of those that run has."""
        return sorted(list(self.by.values()).count(name) for name in self.running)

    async def _run(self, name: str, stop: asyncio.Event) -> None:
        async def note(subject: str, _: Sequence[Envelope]) -> Outcome:
            self.by[partition(subject)] = name
            return Outcome()

        async with self.broker.connect(f"/git-watcher/{name}", pace=Pace(beat=0.5)) as bus:
            await bus.worker("git-watcher", note)(stop)


async def step(replicas: Replicas, chance: random.Random) -> str:
    names = list(replicas.running)
    if len(names) < 2 or (len(names) < MOST and chance.random() < 0.5):
        return await replicas.start()
    end = chance.choice([replicas.stop, replicas.kill])
    return await end(chance.choice(names))


async def wait_even(bus: Client, replicas: Replicas) -> None:
    """Wait until each has the floor or the ceiling of the mean."""
    least, more = divmod(PARTITIONS, len(replicas.running))
    wanted = [least] * (len(replicas.running) - more) + [least + 1] * more
    loop = asyncio.get_running_loop()
    began = loop.time()
    while replicas.shares() != wanted:
        assert loop.time() - began < 2 * SPREAD, f"{replicas.shares()} instead of {wanted}"
        await bus.publish(
            *(Draft(message=PollRequested(repository=one)) for one in SUBJECTS.values())
        )
        await asyncio.sleep(0.2)


async def test_whatever_the_order_of_starts_stops_and_kills_all_get_their_share(
    broker: BrokerUnderTest,
) -> None:
    seed = int(os.environ.get("FAULTS_SEED") or secrets.randbelow(100_000))
    chance, history = random.Random(seed), list[str]()
    replicas = Replicas(broker)
    async with broker.connect("/test") as bus:
        try:
            for _ in range(STEPS):
                history += [await step(replicas, chance) for _ in range(chance.randint(1, 3))]
                await wait_even(bus, replicas)
        except AssertionError as error:
            raise AssertionError(f"FAULTS_SEED={seed}: {error} after {history}") from error
        finally:
            for name in list(replicas.running):
                await replicas.kill(name)
