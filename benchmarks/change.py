"""One object of many changed by a commit: how long, how many requests, how much work."""

import time
from collections.abc import Callable

from benchmarks import bare
from benchmarks.place import app, applied, requests, wait_value
from benchmarks.row import TIMES, Row, at_most, median
from benchmarks.usage import cpu
from sandbox.world import World


async def measure(world: World, objects: int, bar: Callable[[float], float]) -> list[Row]:
    """Measure from git push with webhook to one of *objects* applied; *bar* is of the floor."""
    ours, floors, counts, used, least = [], [], [], 0.0, 0.0
    services = [child.pid for child in world.flux.children.values()]
    for turn in range(1, TIMES + 1):
        seconds, processor = await bare.push_fetch_apply(world, turn)
        floors.append(seconds)
        least += processor
        await _settled(world)
        before, busy = await requests(world), cpu(services)
        ours.append(await _change(world, turn))
        await applied(world)
        counts.append(await requests(world) - before)
        used += cpu(services) - busy
    floor, name = median(floors), f"apply.changed.1-of-{objects}"
    return [
        at_most(name, median(ours), "s", floor=floor, bar=bar(floor)),
        at_most(f"{name}.requests", median(counts), "requests", floor=1, bar=10),
        # The kernel counts in hundredths of a second: a mean over all turns is exact enough.
        at_most(f"{name}.cpu", used / TIMES, "s", floor=least / TIMES, bar=0.5),
    ]


async def _settled(world: World) -> None:
    """Have the floor's own commit applied before anything of ours is counted."""
    await world.git_hook()
    await applied(world)


async def _change(world: World, turn: int) -> float:
    name = f"app-{turn:03}"
    await world.copy.pull()
    world.copy.write({f"apps/{name}.yaml": app(name, world.namespace, value=turn)})
    await world.copy.commit(f"Change {name}")
    begin = time.perf_counter()
    await world.copy.push()
    await world.git_hook()
    await wait_value(world, name, str(turn))
    return time.perf_counter() - begin
