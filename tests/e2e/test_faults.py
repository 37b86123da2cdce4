"""Processes die in the middle of twenty updates: each is written once, and the cluster follows."""

import asyncio
from contextlib import suppress

import aiohttp
import pytest

from sandbox.installation import SERVICES
from sandbox.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.rabbit, pytest.mark.cluster, pytest.mark.timeout(300)]

WORKLOADS = tuple(f"w{number:02}" for number in range(20))


async def prepared(world: World) -> str:
    """Have twenty workloads applied; return the head."""
    await asyncio.gather(*(world.push_image(name, "1.0.0") for name in WORKLOADS))
    await world.push("Add all", {f"{name}.yaml": world.deployment(name) for name in WORKLOADS})
    await asyncio.gather(*(world.wait_image(name, "1.0.0") for name in WORKLOADS))
    return await world.copy.pull()


async def update_all(world: World) -> None:
    """Push a new image for each, one after the other, and tell it."""
    for name in WORKLOADS:
        await world.push_image(name, "1.1.0")
        await hook(world, name)
        await asyncio.sleep(0.1)


async def hook(world: World, name: str) -> None:
    """Tell it once, as a registry does; where nobody listens it is not told again."""
    with suppress(aiohttp.ClientError, TimeoutError):
        async with asyncio.timeout(1):
            await world.image_hook(name)


async def check_end(world: World, head: str) -> None:
    """Every update is in git exactly once, and the cluster runs what git says."""
    for name in WORKLOADS:  # what the gateway could not hear, the next scan would find
        await hook(world, name)
    await asyncio.gather(*(world.wait_image(name, "1.1.0", timeout=90) for name in WORKLOADS))
    written = [update.partition(" ")[0] for update in await world.updates(head)]
    assert sorted(written) == [f"{world.namespace}:deployment/{name}" for name in WORKLOADS]


@pytest.mark.parametrize("service", SERVICES)
async def test_kill_9_in_the_middle_of_updates_loses_and_doubles_nothing(
    world: World, service: str
) -> None:
    head = await prepared(world)
    async with asyncio.TaskGroup() as group:
        group.create_task(update_all(world))
        await asyncio.sleep(1)
        await world.flux.kill(service)
        await asyncio.sleep(0.5)
        await world.flux.start(service)
    await check_end(world, head)


async def test_a_broker_restart_in_the_middle_of_updates_loses_and_doubles_nothing(
    world: World,
) -> None:
    head = await prepared(world)
    async with asyncio.TaskGroup() as group:
        group.create_task(update_all(world))
        await asyncio.sleep(1)
        await world.flux.place.broker.kill()
        await asyncio.sleep(0.5)
        await world.flux.place.broker.start()
    for service in SERVICES:
        await world.flux.wait_ready(service)
    await check_end(world, head)
