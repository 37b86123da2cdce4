"""Deploying 1,000 objects: first, again, and away."""

import time

from benchmarks import bare, change, drift
from benchmarks.place import APPS, a_world, applied, apps, event, requests
from benchmarks.row import LARGE, Row, at_least, at_most, median
from sandbox.world import World

OBJECTS = 4 * APPS


async def measure() -> list[Row]:
    """Measure everything about 1,000 objects, in one world."""
    async with a_world("bench") as world:
        rows = await _first_and_prune(world)
        await world.push("Add all apps", apps(world.namespace))
        await applied(world)
        return [
            *rows,
            *await change.measure(world),
            *await _nothing_changed(world),
            *await drift.measure(world),
        ]


async def _first_and_prune(world: World) -> list[Row]:
    """Apply 1,000 objects into new namespaces and take them away, in turns with a bare loop."""
    first, pruned, floors, bare_deletes = [], [], [], []
    for turn in range(LARGE):
        namespace = f"bare-{turn}"
        await world.kube.call("POST", "api/v1/namespaces", {"metadata": {"name": namespace}})
        objects = bare.objects(namespace, APPS)
        floors.append(OBJECTS / await bare.apply_all(world.kube, objects))
        bare_deletes.append(await bare.delete_all(world.kube, objects))
        first.append(OBJECTS / await _add(world, f"flux-{turn}"))
        pruned.append(await _remove(world, f"flux-{turn}"))
    floor, deletes = median(floors), median(bare_deletes)
    return [
        at_least("apply.first.1000", median(first), "objects/s", floor=floor, bar=0.7 * floor),
        at_most("apply.prune.1000", median(pruned), "s", floor=deletes, bar=2 * deletes),
    ]


async def _add(world: World, name: str) -> float:
    namespace = f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n"
    files = {path.replace("apps/", f"{name}/"): text for path, text in apps(name).items()}
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


async def _nothing_changed(world: World) -> list[Row]:
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
    floor = median(floors)
    return [
        at_most(
            "apply.unchanged.1000.requests",
            *(median(counts), "requests"),
            floor=median(bare_counts),
            bar=20,
        ),
        at_most("apply.unchanged.1000", median(times), "s", floor=floor, bar=2 * floor + 0.1),
    ]
