"""Images: from a push to the registry to the commit on the branch."""

import asyncio
import time

import aiohttp

from benchmarks.place import a_world
from benchmarks.row import LARGE, TIMES, Row, at_most, median, timed
from sandbox.world import World

QUIET = 0.1
"""The default of `automation.quiet`."""
MANY = 50


async def measure() -> list[Row]:
    """Measure one image, and fifty at once."""
    async with a_world("bench") as world:
        await world.push_image("web", "1.0.0")
        await world.push("Add web", {"web.yaml": world.deployment("web")})
        await world.wait_image("web", "1.0.0")
        one, floor = await _one_image(world)
        many, commits = await _many_images(world)
    bar = QUIET + 2 * floor + 0.05
    return [
        at_most("update.image.to-commit", one, "s", floor=floor, bar=bar),
        at_most("update.images.50.to-commit", many, "s", floor=floor, bar=bar + 0.5),
        at_most("update.images.50.commits", commits, "commits", floor=1, bar=1),
    ]


async def _one_image(world: World) -> tuple[float, float]:
    ours, floors = [], []
    for turn in range(1, TIMES + 1):
        floors.append(await bare_update(world, "web", turn))
        head = await world.copy.pull()
        await world.push_image("web", f"1.{turn}.0")
        begin = time.perf_counter()
        await world.image_hook("web")
        await _wait_moved(world, head)
        ours.append(time.perf_counter() - begin)
        await world.wait_declared("web", f"1.{turn}.0")
    return median(ours), median(floors)


async def bare_update(world: World, image: str, turn: int) -> float:
    """List the tags, and commit and push a change of the same size with git."""
    await world.copy.pull()
    tags = f"http://{world.host}/v2/{world.namespace}/{image}/tags/list"
    async with aiohttp.ClientSession() as session:

        async def work() -> None:
            async with session.get(tags) as answer:
                await answer.json()
            await world.copy.commit_and_push("Floor", {"floor.yaml": f"# {turn}\n"})

        return await timed(work)


async def _wait_moved(world: World, head: str) -> None:
    """Look at the branch where it is served, without a fetch that would cost time itself."""
    path = world.flux.place.git.root / f"{world.namespace}.git" / "refs" / "heads" / "main"
    async with asyncio.timeout(60):
        while path.read_text().strip() == head:
            await asyncio.sleep(0.002)


async def _many_images(world: World) -> tuple[float, float]:
    """Fifty images of fifty workloads at once."""
    names = [f"many-{number:02}" for number in range(MANY)]
    for name in names:
        await world.push_image(name, "1.0.0")
    await world.push("Add many", {f"{name}.yaml": world.deployment(name) for name in names})
    await world.wait_image(names[-1], "1.0.0", timeout=120)
    await asyncio.sleep(3)
    times, counts = [], []
    for turn in range(1, LARGE + 1):
        for name in names:
            await world.push_image(name, f"1.{turn}.0")
        head = await world.copy.pull()
        begin = time.perf_counter()
        await asyncio.gather(*(world.image_hook(name) for name in names))
        await _wait_moved(world, head)
        times.append(time.perf_counter() - begin)
        await asyncio.sleep(3)
        counts.append(float(len(await world.wait_commits(head))))
    return median(times), max(counts)
