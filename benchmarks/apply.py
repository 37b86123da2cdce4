"""Deploying: the first apply, a changed object, nothing changed, drift."""

import asyncio
import json
import time
from collections.abc import Iterable
from typing import Any

import aiohttp
import yaml

from benchmarks.place import APPS, a_world, app, apps, requests
from benchmarks.row import Row, at_least, at_most, median, timed
from sandbox.kube import Kube, place
from sandbox.world import World

CONCURRENCY = 16
"""The same as the default of `targets.concurrency`."""
TIMES = 20
LARGE = 5


async def measure() -> list[Row]:
    """Measure everything about 1,000 objects."""
    rows: list[Row] = []
    async with a_world("bench") as world:
        rows += await _first_apply(world)
        await world.push("Add all apps", apps(world.namespace))
        await _wait_applied(world)
        rows += await _one_changed(world)
        rows += await _nothing_changed(world)
        rows += await _drift(world)
    return rows


async def _first_apply(world: World) -> list[Row]:
    """Apply 1,000 objects into new namespaces, in turns with a bare loop."""
    ours, bare = [], []
    for turn in range(LARGE):
        bare.append(await _bare_apply(world, f"bare-{turn}"))
        name = f"flux-{turn}"
        namespace = f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n"
        files = {path.replace("apps/", f"{name}/"): text for path, text in apps(name).items()}
        begin = time.perf_counter()
        await world.push(f"Turn {turn}", {f"{name}/namespace.yaml": namespace, **files})
        await _wait_applied(world)
        ours.append(4 * APPS / (time.perf_counter() - begin))
        await world.push("Clean up", {}, remove=[name])
        await _wait_applied(world)
    floor = median(bare)
    return [at_least("apply.first.1000", median(ours), "objects/s", floor=floor, bar=0.7 * floor)]


async def _bare_apply(world: World, namespace: str) -> float:
    """Return objects a second of a bare loop of the same server-side applies."""
    await world.kube.call("POST", "api/v1/namespaces", {"metadata": {"name": namespace}})
    objects = [one for text in apps(namespace).values() for one in yaml.safe_load_all(text)]
    begin = time.perf_counter()
    await _apply_all(world.kube, objects)
    rate = len(objects) / (time.perf_counter() - begin)
    await world.kube.delete("Namespace", namespace)
    return rate


async def _apply_all(kube: Kube, objects: Iterable[Any]) -> None:
    waiting = iter(objects)

    async def work() -> None:
        for one in waiting:
            await _bare(kube, one)

    async with asyncio.TaskGroup() as group:
        for _ in range(CONCURRENCY):
            group.create_task(work())


async def _bare(kube: Kube, one: Any) -> None:
    metadata = one["metadata"]
    status, answer = await kube.call(
        "PATCH",
        place(one["kind"], metadata["name"], metadata.get("namespace", "")),
        one,
        "application/apply-patch+yaml",
        fieldManager="bare",
        force="true",
    )
    assert status in {200, 201}, answer


async def _one_changed(world: World) -> list[Row]:
    """Change one object of 1,000: how long from git push, and how many requests."""
    ours, floors, counts = [], [], []
    for turn in range(1, TIMES + 1):
        name = f"app-{turn:03}"
        floors.append(await _bare_fetch_and_apply(world, turn))
        before = await requests(world)
        files = {f"apps/{name}.yaml": app(name, world.namespace, value=turn)}
        await world.copy.pull()
        world.copy.write(files)
        await world.copy.commit(f"Change {name}")
        begin = time.perf_counter()
        await world.copy.push()
        await world.git_hook()
        await _wait_value(world, name, str(turn))
        ours.append(time.perf_counter() - begin)
        await _wait_applied(world)
        counts.append(await requests(world) - before)
    floor = median(floors)
    return [
        at_most("apply.changed.1-of-1000", median(ours), "s", floor=floor, bar=2 * floor + 0.1),
        at_most("apply.changed.1-of-1000.requests", median(counts), "requests", bar=10),
    ]


async def _bare_fetch_and_apply(world: World, turn: int) -> float:
    """Push, fetch with git, and apply one object by hand."""
    clone = world.copy.directory.parent / "floor"
    if not clone.exists():
        await world.copy.git("clone", "--quiet", "--mirror", world.git_url, str(clone))
    await world.copy.pull()
    world.copy.write({"floor.txt": str(turn)})
    await world.copy.commit(f"Floor {turn}")
    wanted = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "floor", "namespace": world.namespace},
        "data": {"value": str(turn)},
    }

    async def work() -> None:
        await world.copy.push()
        await world.copy.git("-C", str(clone), "fetch", "--quiet", "origin")
        await _bare(world.kube, wanted)

    return await timed(work)


async def _wait_value(world: World, name: str, value: str) -> None:
    await world.kube.wait(
        "ConfigMap",
        name,
        lambda found: found is not None and found["data"]["value"] == value,
        namespace=world.namespace,
    )


async def _wait_applied(world: World) -> None:
    """Wait until the gateway knows that the head of the branch was applied."""
    head = await world.copy.head()
    url = world.flux.gateway_url.replace("/api/flux", "/api/v1/syncs")
    async with aiohttp.ClientSession() as session, asyncio.timeout(180):
        while True:
            async with session.get(url) as answer:
                (sync,) = json.loads(await answer.text())
            if sync["applied"] == head:
                return
            await asyncio.sleep(0.01)


async def _nothing_changed(world: World) -> list[Row]:
    """Ask for a sync when nothing changed: it may cost a request a kind, none an object."""
    counts = []
    for _ in range(LARGE):
        before = await requests(world)
        await world.sync()
        await asyncio.sleep(0.5)
        counts.append(await requests(world) - before)
    return [at_most("apply.unchanged.1000.requests", median(counts), "requests", bar=20)]


async def _drift(world: World) -> list[Row]:
    """Delete and change objects by hand."""
    deleted, changed = [], []
    for turn in range(TIMES):
        name = f"app-{100 + turn}"
        old = await world.kube.get("ConfigMap", name, world.namespace)
        assert old is not None
        begin = time.perf_counter()
        await world.kube.delete("ConfigMap", name, world.namespace)
        await _wait_other(world, name, old["metadata"]["uid"])
        deleted.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        await world.kube.merge("ConfigMap", name, {"data": {"value": "x"}}, world.namespace)
        await _wait_value(world, name, "0")
        changed.append(time.perf_counter() - begin)
    return [
        at_most("apply.drift.deleted", median(deleted), "s", bar=0.5),
        at_most("apply.drift.changed", median(changed), "s", bar=0.5),
    ]


async def _wait_other(world: World, name: str, uid: str) -> None:
    await world.kube.wait(
        "ConfigMap",
        name,
        lambda found: found is not None and found["metadata"]["uid"] != uid,
        namespace=world.namespace,
    )
