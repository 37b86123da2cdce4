"""Of two replicas one dies or freezes: the other takes over, and the stale one does no harm."""

import asyncio
import os
import re
import signal
import time
from pathlib import Path

import pytest

from sandbox.world import World

pytestmark = [
    *(pytest.mark.e2e, pytest.mark.rabbit, pytest.mark.cluster, pytest.mark.faults),
    pytest.mark.timeout(240),
]

APPLIERS = ("cluster-applier", "cluster-applier.2")
WRITERS = ("repo-writer", "repo-writer.2")


async def two(world: World, names: tuple[str, str]) -> None:
    """Start a second replica, and let both find out who has what."""
    await world.flux.launch(names[1])
    path = world.flux.log(names[1])
    async with asyncio.timeout(30):
        while not path.exists() or '"event": "started"' not in path.read_text():
            await asyncio.sleep(0.05)
    await asyncio.sleep(3)


def config_map(world: World, value: int, *names: str) -> dict[str, str]:
    return {
        f"{name}.yaml": "apiVersion: v1\nkind: ConfigMap\n"
        f"metadata: {{name: {name}, namespace: {world.namespace}}}\ndata: {{v: '{value}'}}\n"
        for name in names
    }


async def wait_value(world: World, name: str, value: int, *, timeout: float) -> float:
    """Wait until a ConfigMap holds *value*; return the seconds that took."""
    began = time.monotonic()
    await world.kube.wait(
        "ConfigMap",
        name,
        lambda found: found is not None and found["data"]["v"] == str(value),
        namespace=world.namespace,
        timeout=timeout,
    )
    return time.monotonic() - began


def said(path: Path, event: str) -> int:
    return len(re.findall(f'"event": "{event}"', path.read_text())) if path.exists() else 0


async def busier(world: World, names: tuple[str, str], event: str, before: dict[str, int]) -> str:
    """Return the replica that did the work since *before*, once it has told so."""
    async with asyncio.timeout(10):
        while True:
            for name in names:
                if said(world.flux.log(name), event) > before[name]:
                    return name
            await asyncio.sleep(0.02)


async def active_applier(world: World, value: int) -> str:
    before = {name: said(world.flux.log(name), "applied") for name in APPLIERS}
    await world.push(f"Value {value}", config_map(world, value, "a", "b"))
    await wait_value(world, "b", value, timeout=20)
    return await busier(world, APPLIERS, "applied", before)


async def test_a_killed_applier_is_replaced_within_two_seconds(world: World) -> None:
    await two(world, APPLIERS)
    active = await active_applier(world, 1)
    await world.flux.kill(active)
    await world.push("Value 2", config_map(world, 2, "a", "b"))
    assert await wait_value(world, "b", 2, timeout=20) < 2


async def test_a_frozen_applier_is_replaced_and_does_no_harm_when_it_thaws(world: World) -> None:
    await two(world, APPLIERS)
    active = await active_applier(world, 1)
    frozen = world.flux.children[active]
    os.kill(frozen.pid, signal.SIGSTOP)
    try:
        # What the frozen one still holds is an old state: with b, and without c.
        await world.push("Value 2", config_map(world, 2, "a", "b"))
        await asyncio.sleep(1)
        await world.push("Value 3", config_map(world, 3, "a", "c"), remove=["b.yaml"])
        assert await wait_value(world, "c", 3, timeout=30) < 20
    finally:
        os.kill(frozen.pid, signal.SIGCONT)
    await asyncio.sleep(6)
    assert frozen.returncode is None
    for name in ("a", "c"):
        assert (await world.kube.get("ConfigMap", name, world.namespace) or {})["data"]["v"] == "3"
    assert await world.kube.get("ConfigMap", "b", world.namespace) is None
    await world.push("Value 4", config_map(world, 4, "a", "c"))
    await wait_value(world, "c", 4, timeout=20)


async def test_a_frozen_writer_writes_nothing_twice_when_it_thaws(world: World) -> None:
    await world.push_image("web", "1.0.0")
    await world.push("Add web", {"web.yaml": world.deployment("web")})
    await world.wait_image("web", "1.0.0")
    await two(world, WRITERS)
    head = await world.copy.pull()
    before = {name: said(world.flux.log(name), "pushed") for name in WRITERS}
    await world.push_image("web", "1.1.0")
    await world.image_hook("web")
    await world.wait_image("web", "1.1.0")
    active = await busier(world, WRITERS, "pushed", before)

    frozen = world.flux.children[active]
    os.kill(frozen.pid, signal.SIGSTOP)
    try:
        await world.push_image("web", "1.2.0")
        await world.image_hook("web")
        await world.wait_image("web", "1.2.0", timeout=30)
        await world.push_image("web", "1.3.0")
        await world.image_hook("web")
        await world.wait_image("web", "1.3.0", timeout=30)
    finally:
        os.kill(frozen.pid, signal.SIGCONT)
    await asyncio.sleep(6)
    written = [update.rpartition(":")[2] for update in await world.updates(head)]
    assert sorted(written) == ["1.1.0", "1.2.0", "1.3.0"]
    await world.wait_image("web", "1.3.0", timeout=5)
