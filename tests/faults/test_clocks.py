"""Nobody's clock on the wall decides anything: each stage has its own, and they step."""

from datetime import timedelta
from pathlib import Path

import pytest

from sandbox.clocks import WallClock, wall_clock
from sandbox.installation import SERVICES
from sandbox.world import World
from shared.contract import OrderCompleted, UpdatePushed
from tests.faults.history import history

pytestmark = [
    *(pytest.mark.e2e, pytest.mark.rabbit, pytest.mark.cluster, pytest.mark.faults),
    pytest.mark.timeout(240),
]

HOUR = 3600
AHEAD = {
    "git-watcher": 5 * HOUR,
    "registry-scanner": -3 * HOUR,
    "repo-writer": 30 * HOUR,
    "cluster-applier": 2 * HOUR,
    "gateway": -26 * HOUR,
}


@pytest.fixture
async def clocks(tmp_path: Path) -> dict[str, WallClock]:
    return {name: await wall_clock(tmp_path / f"{name}.clock") for name in SERVICES}


async def test_clocks_that_differ_and_step_lose_nothing_and_hold_up_nothing(
    world: World, clocks: dict[str, WallClock]
) -> None:
    await world.flux.stop()
    for name, clock in clocks.items():
        clock.step(AHEAD[name])
        await world.flux.launch(name, env=clock.env)
    for name in SERVICES:
        await world.flux.wait_ready(name)
    await world.push_image("web", "1.0.0")
    await world.push("Add web", {"web.yaml": world.deployment("web")})
    await world.wait_image("web", "1.0.0")
    async with history(world.flux, world.namespace) as told:
        for turn, factor in enumerate((1, -1, 0), 1):
            for name, clock in clocks.items():
                clock.step(AHEAD[name] * factor)
            await world.push_image("web", f"1.{turn}.0")
            await world.image_hook("web")
            await world.wait_image("web", f"1.{turn}.0", timeout=60)
            for order in ("lock", "unlock"):
                await world.flux.fluxctl(order, "--workload", f"{world.namespace}:deployment/web")
            listed = await world.flux.fluxctl("list-images", "--namespace", world.namespace)
            assert f"1.{turn}.0" in listed
        times = [one.time for one in told.of(UpdatePushed)]
        assert max(times) - min(times) > timedelta(hours=59)  # else no clock was stepped
        assert len(times) >= 3 + 6
        assert len(told.of(OrderCompleted)) >= 6
    assert await world.flux.depth("flux.dead") == 0
    world.flux.check_alive()
