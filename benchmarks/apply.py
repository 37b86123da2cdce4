"""Deploying 100, 1,000 and 5,000 objects: first, again, and away."""

import time
from collections.abc import Callable

from benchmarks import bare, change, drift
from benchmarks.place import APPS, a_world, applied, apps, event, requests
from benchmarks.row import LARGE, Row, at_least, at_most, median
from benchmarks.usage import resident
from sandbox.world import World

MANY = 5 * APPS
LARGEST = 200
"""MiB."""

FEW = APPS // 10
FEW_FIRST = 1.1
FEW_CHANGED = 0.63
"""Seconds that Flux 2, the faster of the peers with 100 objects, takes on a quiet machine of two
cores to apply them, and to apply a commit that changes one. The bars of 1,000 objects are stricter
than a fifth of what the peers take there."""


async def measure() -> list[Row]:
    """Measure everything about 1,000 objects in one world, and about 5,000 in another."""
    async with a_world("bench") as world:
        rows = await _few(world)
        rows += await _first_and_prune(world, APPS, lambda floor: 0.7 * floor, turns=LARGE)
        await world.push("Add all apps", apps(world.namespace))
        await applied(world)
        rows += await change.measure(world, 4 * APPS, lambda floor: 2 * floor + 0.1)
        rows += await _nothing_changed(world, APPS, lambda floor: 2 * floor + 0.1)
        rows += await drift.measure(world)
    async with a_world("large") as world:
        rows += await _first_and_prune(world, MANY, lambda floor: 0.8 * floor, turns=1)
        await world.push("Add all apps", apps(world.namespace, MANY))
        await applied(world)
        rows += await change.measure(world, 4 * MANY, lambda floor: floor + 0.1)
        rows += await _nothing_changed(world, MANY, lambda floor: 2 * floor)
        used = resident(world.flux.children["cluster-applier"].pid)
        rows.append(at_most(f"apply.memory.{4 * MANY}", used, "MiB", bar=LARGEST))
    return rows


async def _few(world: World) -> list[Row]:
    """Measure 100 objects, of which nearly all work is what a commit costs at all."""
    first = await _first_and_prune(
        world, FEW, lambda _: 4 * FEW / FEW_FIRST, turns=LARGE, fixed=0.2
    )
    await world.push("Add some apps", apps(world.namespace, FEW))
    await applied(world)
    return [*first, *await change.measure(world, 4 * FEW, lambda _: FEW_CHANGED)]


async def _first_and_prune(
    world: World, count: int, bar: Callable[[float], float], *, turns: int, fixed: float = 0.0
) -> list[Row]:
    """Apply *count* apps into new namespaces and take them away, in turns with a bare loop."""
    first, pruned, floors, bare_deletes, size = [], [], [], [], 4 * count
    for turn in range(turns):
        namespace = f"bare-{size}-{turn}"
        await world.kube.call("POST", "api/v1/namespaces", {"metadata": {"name": namespace}})
        objects = bare.objects(namespace, count)
        floors.append(size / await bare.apply_all(world.kube, objects))
        bare_deletes.append(await bare.delete_all(world.kube, objects))
        first.append(size / await _add(world, f"flux-{size}-{turn}", count))
        pruned.append(await _remove(world, f"flux-{size}-{turn}"))
    floor, deletes = median(floors), median(bare_deletes)
    return [
        at_least(f"apply.first.{size}", median(first), "objects/s", floor=floor, bar=bar(floor)),
        at_most(f"apply.prune.{size}", median(pruned), "s", floor=deletes, bar=2 * deletes + fixed),
    ]


async def _add(world: World, name: str, count: int) -> float:
    namespace = f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n"
    files = {path.replace("apps/", f"{name}/"): text for path, text in apps(name, count).items()}
    await world.push(f"Add namespace {name}", {f"{name}.yaml": namespace})
    await applied(world)
    return await _pushed(world, f"Add {name}", files)


async def _remove(world: World, name: str) -> float:
    return await _pushed(world, f"Remove {name}", {}, remove=[name])


async def _pushed(
    world: World, message: str, files: dict[str, str], remove: list[str] | None = None
) -> float:
    """Push, and return the seconds until it is applied."""
    begin = time.perf_counter()
    await world.push(message, files, remove=remove or [])
    await applied(world)
    return time.perf_counter() - begin


async def _nothing_changed(
    world: World, apps_there: int, bar: Callable[[float], float]
) -> list[Row]:
    """Ask for a sync when nothing changed: it may cost a list a kind, and nothing an object."""
    counts, times, floors, bare_counts = [], [], [], []
    for _ in range(LARGE):
        begin = time.perf_counter()
        bare_counts.append(float(await bare.list_all(world.kube, world.namespace)))
        floors.append(time.perf_counter() - begin)
        before = await requests(world)
        async with event(world, "sync.completed.v1"):
            begin = time.perf_counter()
            await world.sync()
        times.append(time.perf_counter() - begin)
        counts.append(await requests(world) - before)
    floor, name = median(floors), f"apply.unchanged.{4 * apps_there}"
    least, most = median(bare_counts), 20 + 8 * (apps_there // 500)  # by pages of 500
    return [
        at_most(f"{name}.requests", median(counts), "requests", floor=least, bar=most),
        at_most(name, median(times), "s", floor=floor, bar=bar(floor)),
    ]
