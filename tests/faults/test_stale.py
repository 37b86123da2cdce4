"""Who is frozen for forty seconds in the middle of its work does no harm when it thaws."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from sandbox.everything import Everything
from sandbox.world import World
from sandbox.world import world as a_world
from shared.runtime.faults import VARIABLE
from tests.faults.replica import is_frozen
from tests.faults.test_replicas import config_map, wait_value

pytestmark = [
    *(pytest.mark.e2e, pytest.mark.rabbit, pytest.mark.cluster, pytest.mark.faults),
    pytest.mark.timeout(240),
]

FROZEN = 40.0
"""Seconds; the broker takes somebody for dead who was silent for half of it."""
AFTER = 5.0
"""Seconds in which who thawed could do harm."""


@asynccontextmanager
async def frozen(world: World, service: str, point: str) -> AsyncIterator[None]:
    """
    Have the one replica of *service* freeze at *point*, and another one take over.

    The block begins when it is frozen, and with its end it thaws, if its time has come.
    """
    await world.flux.stop(service)
    await world.flux.launch(service, env={VARIABLE: f"{point}=freeze"})
    child = world.flux.children[service]
    yield
    async with asyncio.timeout(60):
        while not is_frozen(child.pid):
            await asyncio.sleep(0.05)


async def thawed(world: World, service: str, since: float) -> None:
    """Thaw *service* when its time has come, and give it the time to do harm."""
    await asyncio.sleep(since + FROZEN - time.monotonic())
    os.kill(world.flux.children[service].pid, signal.SIGCONT)
    await asyncio.sleep(AFTER)
    assert world.flux.children[service].returncode is None


async def an_applier(world: World) -> None:
    """It froze in the middle of a revision with *b*; the newest has none."""
    await world.push("Value 0", config_map(world, 0, "a"))
    await wait_value(world, "a", 0, timeout=60)
    async with frozen(world, "cluster-applier", "apply.before"):
        await world.push("Value 1", config_map(world, 1, "a", "b"))
    since = time.monotonic()
    await world.flux.launch("cluster-applier.2")
    await world.push("Value 2", config_map(world, 2, "a", "c"), remove=["b.yaml"])
    await wait_value(world, "c", 2, timeout=60)
    assert time.monotonic() - since < FROZEN
    await thawed(world, "cluster-applier", since)
    for name in ("a", "c"):
        await wait_value(world, name, 2, timeout=1)
    assert await world.kube.get("ConfigMap", "b", world.namespace) is None


async def a_writer(world: World) -> None:
    """It froze with a commit in hand that was not pushed."""
    await world.push_image("web", "1.0.0")
    await world.push("Add web", {"web.yaml": world.deployment("web")})
    await world.wait_image("web", "1.0.0", timeout=60)
    head = await world.copy.pull()
    async with frozen(world, "repo-writer", "push.before"):
        await world.push_image("web", "1.1.0")
        await world.image_hook("web")
    since = time.monotonic()
    await world.flux.launch("repo-writer.2")
    await world.push_image("web", "1.2.0")
    await world.image_hook("web")
    await world.wait_image("web", "1.2.0", timeout=60)
    assert time.monotonic() - since < FROZEN
    await thawed(world, "repo-writer", since)
    written = [update.rpartition(":")[2] for update in await world.updates(head)]
    assert written == sorted(written, reverse=True)
    assert written.count("1.2.0") == 1
    await world.wait_image("web", "1.2.0", timeout=1)


async def a_watcher(world: World) -> None:
    """It froze with a bundle in hand that has *b*; the newest revision has none."""
    await world.push("Value 0", config_map(world, 0, "a"))
    await wait_value(world, "a", 0, timeout=60)
    async with frozen(world, "git-watcher", "bundle.before"):
        await world.push("Value 1", config_map(world, 1, "a", "b"))
    since = time.monotonic()
    await world.flux.launch("git-watcher.2")
    await world.push("Value 2", config_map(world, 2, "a", "c"), remove=["b.yaml"])
    await wait_value(world, "c", 2, timeout=60)
    assert time.monotonic() - since < FROZEN
    await thawed(world, "git-watcher", since)
    for name in ("a", "c"):
        await wait_value(world, name, 2, timeout=1)
    assert await world.kube.get("ConfigMap", "b", world.namespace) is None
    await world.push("Value 3", config_map(world, 3, "a", "c"))
    await wait_value(world, "c", 3, timeout=60)


async def test_who_thaws_after_forty_seconds_does_no_harm(
    place: Everything, tmp_path: Path
) -> None:
    async def play(scene: Callable[[World], Awaitable[None]]) -> None:
        name = f"stale-{uuid4().hex[:6]}"
        automation = {"interval": "3s"}
        async with a_world(place, tmp_path / name, name, automation=automation) as found:
            await scene(found)

    async with asyncio.TaskGroup() as group:  # side by side: most of it is waiting
        for scene in (an_applier, a_writer, a_watcher):
            group.create_task(play(scene), name=scene.__name__)
