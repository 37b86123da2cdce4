"""Objects deleted and changed by hand among 1,000: how soon they are back."""

import time

from benchmarks import bare
from benchmarks.place import wait_value
from benchmarks.row import TIMES, Row, at_most, median
from sandbox.world import World

BAR = 0.3
"""Seconds."""


async def measure(world: World) -> list[Row]:
    """Measure until the cluster shows the object as it was."""
    deleted, changed, deletes, changes = [], [], [], []
    for turn in range(TIMES):
        name = f"app-{100 + turn}"
        deletes.append(await bare.delete_and_apply(world))
        deleted.append(await _delete(world, name))
        changes.append(await bare.change_and_apply(world))
        changed.append(await _change(world, name))
    return [
        at_most("apply.drift.deleted", median(deleted), "s", floor=median(deletes), bar=BAR),
        at_most("apply.drift.changed", median(changed), "s", floor=median(changes), bar=BAR),
    ]


async def _delete(world: World, name: str) -> float:
    old = await world.kube.get("ConfigMap", name, world.namespace)
    assert old is not None, f"{name} was not applied"
    begin = time.perf_counter()
    await world.kube.delete("ConfigMap", name, world.namespace)
    await world.kube.wait(
        "ConfigMap",
        name,
        lambda found: found is not None and found["metadata"]["uid"] != old["metadata"]["uid"],
        namespace=world.namespace,
    )
    return time.perf_counter() - begin


async def _change(world: World, name: str) -> float:
    begin = time.perf_counter()
    await world.kube.merge("ConfigMap", name, {"data": {"value": "x"}}, world.namespace)
    await wait_value(world, name, "0")
    return time.perf_counter() - begin
