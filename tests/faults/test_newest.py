"""The newest wins: what came meanwhile is looked at together, however much it was."""

import asyncio
import time
from pathlib import Path
from uuid import uuid4

import pytest

from sandbox.everything import Everything
from sandbox.world import World
from sandbox.world import world as a_world
from shared.contract import SyncCompleted
from tests.faults.history import History, history
from tests.faults.test_replicas import config_map, wait_value

pytestmark = [
    *(pytest.mark.e2e, pytest.mark.rabbit, pytest.mark.cluster, pytest.mark.faults),
    pytest.mark.timeout(240),
]

COMMITS = 100
WITHIN = 5.0
"""Seconds in which they are pushed."""
IMAGES = 50


TRIES = 3
"""A machine that stutters makes a burst into several: the least of so many is judged."""


async def test_of_a_hundred_commits_in_five_seconds_three_are_applied_at_most(
    world: World,
) -> None:
    await world.push("Value 0", config_map(world, 0, "a"))
    await wait_value(world, "a", 0, timeout=60)
    times: list[int] = []
    while len(times) < TRIES and min(times, default=COMMITS) > 3:
        times.append(await applied_of_a_burst(world, len(times) * COMMITS))
    assert min(times) <= 3, times


async def applied_of_a_burst(world: World, before: int) -> int:
    """Push a hundred commits after those *before*; return how many of them are applied."""
    branch = world.flux.place.git.root / f"{world.namespace}.git"
    commits = await prepared(world, before)
    async with history(world.flux, world.namespace) as told:
        began = time.monotonic()
        async with asyncio.TaskGroup() as hooks:
            for number, commit in enumerate(commits, 1):
                (branch / "refs/heads/main").write_text(f"{commit}\n")  # as a push ends
                hooks.create_task(world.git_hook())
                await asyncio.sleep(max(0.0, began + number * WITHIN / COMMITS - time.monotonic()))
        await wait_value(world, "a", before + COMMITS, timeout=60)
        async with asyncio.timeout(60):
            while commits[-1] not in applied(told):
                await asyncio.sleep(0.05)
        return len([one for one in applied(told) if one in commits])


async def prepared(world: World, before: int) -> list[str]:
    """Push a hundred commits to another branch, so that the host has them; return them."""
    git = world.copy.git
    for number in range(before + 1, before + COMMITS + 1):
        world.copy.write(config_map(world, number, "a"))
        await git("commit", "--quiet", "--all", "--message", f"Value {number}")
    await git("push", "--quiet", "origin", "HEAD:refs/heads/ready")
    return (await git("log", "--reverse", f"-{COMMITS}", "--format=%H")).split()


def applied(told: History) -> list[str]:
    messages = (one.message for one in told.of(SyncCompleted))
    return [one.revision for one in messages if isinstance(one, SyncCompleted)]


async def test_fifty_images_in_a_window_are_one_commit(place: Everything, tmp_path: Path) -> None:
    names = [f"w{number:02}" for number in range(IMAGES)]
    window = {"quiet": "2s", "max_wait": "20s"}
    name = f"window-{uuid4().hex[:6]}"
    async with a_world(place, tmp_path, name, automation=window) as world:
        await asyncio.gather(*(world.push_image(name, "1.0.0") for name in names))
        await world.push("Add all", {f"{name}.yaml": world.deployment(name) for name in names})
        await world.wait_image(names[-1], "1.0.0")
        head = await world.copy.pull()
        await asyncio.gather(*(world.push_image(name, "1.1.0") for name in names))
        await asyncio.gather(*(world.image_hook(name) for name in names))
        await world.wait_commits(head)
        await world.wait_image(names[-1], "1.1.0")
        assert len(await world.wait_commits(head)) == 1
        assert len(await world.updates(head)) == IMAGES
