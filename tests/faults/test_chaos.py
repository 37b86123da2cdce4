"""Whatever crashes or freezes: every update is written once, and nothing that is declared goes."""

import os
import time

import pytest

from sandbox.world import World
from tests.faults import report
from tests.faults.chaos import Chaos

pytestmark = [
    *(pytest.mark.e2e, pytest.mark.rabbit, pytest.mark.cluster, pytest.mark.faults),
    pytest.mark.timeout(7200),
]

CRASHES = int(os.environ.get("FAULTS_CRASHES", "20"))
SEED = int(os.environ.get("FAULTS_SEED") or time.time_ns() % 1_000_000)


async def test_updates_are_written_once_and_nothing_goes_whatever_fails(world: World) -> None:
    print(f"seed {SEED}; play it again with FAULTS_SEED={SEED}")
    chaos = Chaos(world, SEED)
    await chaos.begin()
    began = time.monotonic()
    while chaos.tally.crashes < CRASHES:
        await chaos.round()
        print(report.line(chaos.tally, CRASHES), flush=True)
    report.write(chaos.tally, SEED, time.monotonic() - began)
    assert chaos.tally.lost == chaos.tally.doubled == chaos.tally.downgrades == 0
