"""One active worker a subject, spread over replicas that are restarted one after the other."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from sandbox.everything import Everything
from shared.bus.client import Client
from shared.bus.port import Outcome
from shared.contract import PARTITIONS, Draft, Envelope, PollRequested, partition
from tests.contract.brokers import Rabbit, declared_on
from tests.contract.test_bus import working

pytestmark = [pytest.mark.rabbit, pytest.mark.cluster, pytest.mark.faults]

SUBJECTS = tuple(f"git.example.com/acme/{number}#main" for number in range(100))
SHARES = [PARTITIONS // 3, PARTITIONS // 3, PARTITIONS - 2 * (PARTITIONS // 3)]


@dataclass(slots=True)
class Work:
    """Who worked on what, from when to when."""

    intervals: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
    by: dict[int, str] = field(default_factory=dict)
    """Who worked on a partition last."""

    def overlaps(self) -> list[str]:
        """Return the subjects on which two worked at a time."""
        return [
            subject
            for subject, some in self.intervals.items()
            if any(end > begin for (_, end), (begin, _) in pairwise(some))
        ]

    def shares(self) -> list[int]:
        """Return how many partitions each replica has."""
        return sorted(Counter(self.by.values()).values())

    async def on_group(self, replica: str, subject: str, messages: Sequence[Envelope]) -> Outcome:
        """Work on it for a moment."""
        began = time.monotonic()
        await asyncio.sleep(0.02)
        self.intervals.setdefault(subject, []).append((began, time.monotonic()))
        self.intervals[subject].sort()
        self.ids |= {one.id for one in messages}
        self.by[partition(subject)] = replica
        return Outcome()


@asynccontextmanager
async def replica(broker: Rabbit, name: str, work: Work) -> AsyncIterator[None]:
    async def on_group(subject: str, messages: Sequence[Envelope]) -> Outcome:
        return await work.on_group(name, subject, messages)

    async with broker.connect(f"/git-watcher/{name}") as bus, working(bus, "git-watcher", on_group):
        yield


async def ask(bus: Client, told: set[str]) -> None:
    """Ask for a poll of every subject, for ever."""
    while True:
        drafts = [
            Draft(message=PollRequested(repository=subject), id=f"{len(told)}-{number}")
            for number, subject in enumerate(SUBJECTS)
        ]
        await bus.publish(*drafts)
        told |= {str(draft.id) for draft in drafts}
        await asyncio.sleep(0.05)


async def wait_shares(work: Work) -> float:
    began = time.monotonic()
    async with asyncio.timeout(60):
        while work.shares() != SHARES:
            await asyncio.sleep(0.05)
    return time.monotonic() - began


async def test_rolling_restarts_never_let_two_work_on_one_subject(place: Everything) -> None:
    work, told = Work(), set[str]()
    async with (
        declared_on(place.broker) as broker,
        broker.connect("/test") as bus,
        AsyncExitStack() as stack,
    ):
        running = [AsyncExitStack() for _ in range(3)]
        for number, one in enumerate(running):
            await stack.enter_async_context(one)
            await one.enter_async_context(replica(broker, f"{number}.0", work))
        asking = asyncio.create_task(ask(bus, told))
        await wait_shares(work)
        for turn in (1, 2):
            for number, one in enumerate(running):
                await one.aclose()
                await one.enter_async_context(replica(broker, f"{number}.{turn}", work))
                assert await wait_shares(work) < 10
        asking.cancel()
        async with asyncio.timeout(60):
            while not told <= work.ids:
                await asyncio.sleep(0.05)
    assert work.overlaps() == []
    assert len(work.intervals) == len(SUBJECTS)
