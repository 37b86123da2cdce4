"""Of two replicas one dies: the other takes over. One that freezes is `test_stale`'s."""

import asyncio
import re
import time
from pathlib import Path

import pytest

from sandbox.world import World

pytestmark = [
    *(pytest.mark.e2e, pytest.mark.rabbit, pytest.mark.cluster, pytest.mark.faults),
    pytest.mark.timeout(240),
]

APPLIERS = ("cluster-applier", "cluster-applier.2")


async def two(world: World, names: tuple[str, str]) -> None:
    """Start a second replica, and let both find out who has what."""
    await world.flux.launch(names[1])
    path = world.flux.log(names[1])
    async with asyncio.timeout(60):
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
    async with asyncio.timeout(60):
        while True:
            for name in names:
                if said(world.flux.log(name), event) > before[name]:
                    return name
            await asyncio.sleep(0.02)


async def active_applier(world: World, value: int) -> str:
    before = {name: said(world.flux.log(name), "applied") for name in APPLIERS}
    await world.push(f"Value {value}", config_map(world, value, "a", "b"))
    await wait_value(world, "b", value, timeout=60)
    return await busier(world, APPLIERS, "applied", before)


async def test_a_killed_applier_is_replaced_within_two_seconds(world: World) -> None:
    await two(world, APPLIERS)
    active = await active_applier(world, 1)
    await world.push("Value 2", config_map(world, 2, "a", "b"))
    usual = await wait_value(world, "b", 2, timeout=60)
    await world.flux.kill(active)
    await world.push("Value 3", config_map(world, 3, "a", "b"))
    # On a machine where all takes its time, that does too.
    assert await wait_value(world, "b", 3, timeout=60) < max(2, 6 * usual)
