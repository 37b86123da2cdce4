"""Whatever crashes or freezes: every update is written once, and nothing that is declared goes."""

import asyncio
import os
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from sandbox.everything import Everything
from sandbox.world import world
from shared.runtime.tasks import first_error
from tests.faults import report
from tests.faults.chaos import Chaos

pytestmark = [
    *(pytest.mark.e2e, pytest.mark.rabbit, pytest.mark.cluster, pytest.mark.faults),
    pytest.mark.timeout(7200),
]

CRASHES = int(os.environ.get("FAULTS_CRASHES", "20"))
SEED = int(os.environ.get("FAULTS_SEED") or time.time_ns() % 1_000_000)
WORLDS = {"one": 1, "two": 2}
"""Replicas of each stage, by the world's name; while one world waits, the other one works."""


async def test_updates_are_written_once_and_nothing_goes_whatever_fails(
    place: Everything, tmp_path: Path
) -> None:
    print(f"seed {SEED}; play it again with FAULTS_SEED={SEED}")
    tally = report.Tally()
    began = time.monotonic()
    with first_error():
        await _play(tally, place, tmp_path)
    report.write(tally, SEED, time.monotonic() - began)
    assert tally.lost == tally.doubled == tally.downgrades == tally.wrong_deletes == 0


async def _play(tally: report.Tally, place: Everything, directory: Path) -> None:
    """Play in all worlds side by side."""
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for name, replicas in WORLDS.items():
            its_own = world(place, directory / name, f"chaos-{SEED}-{name}")
            found = await stack.enter_async_context(its_own)
            chaos = Chaos(found, f"{SEED}.{name}", tally, replicas=replicas)
            group.create_task(chaos.run(CRASHES), name=name)
