"""The bare work without us: what every floor is made of."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import yaml

from benchmarks.place import apps
from sandbox.kube import Kube, place
from sandbox.world import World

CONCURRENCY = 16
"""The same as the default of `targets.concurrency`."""

KINDS = ("Deployment", "ServiceAccount", "Service", "ConfigMap")
"""What an app is made of."""


async def apply(kube: Kube, one: Any) -> None:
    """Apply one object as we do: a server-side apply that decides conflicts."""
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


async def delete(kube: Kube, one: Any) -> None:
    """Delete one object."""
    metadata = one["metadata"]
    await kube.delete(one["kind"], metadata["name"], metadata["namespace"])


async def apply_all(kube: Kube, objects: Sequence[Any]) -> float:
    """Apply *objects*, as many at once as we do; return the seconds."""
    return await _each(objects, lambda one: apply(kube, one))


async def delete_all(kube: Kube, objects: Sequence[Any]) -> float:
    """Delete *objects*, as many at once as we do; return the seconds."""
    return await _each(objects, lambda one: delete(kube, one))


async def list_all(kube: Kube, namespace: str) -> int:
    """Read every kind of an app once; return how many requests that takes."""
    for kind in KINDS:
        await kube.list(kind, namespace)
    return len(KINDS)


def objects(namespace: str, count: int) -> list[Any]:
    """Return the objects of *count* apps."""
    texts = apps(namespace, count).values()
    return [one for text in texts for one in yaml.safe_load_all(text)]


async def push_fetch_apply(world: World, turn: int) -> tuple[float, float]:
    """Push a commit, fetch it with git, and apply one object; return its time and processor."""
    clone = world.copy.directory.parent / "floor"
    if not clone.exists():
        await world.copy.git("clone", "--quiet", "--mirror", world.git_url, str(clone))
    await world.copy.pull()
    world.copy.write({"floor.txt": str(turn)})
    await world.copy.commit(f"Floor {turn}")
    begin = time.perf_counter()
    await world.copy.push()
    busy = _processor()
    await world.copy.git("-C", str(clone), "fetch", "--quiet", "origin")
    await apply(world.kube, config_map(world.namespace, str(turn)))
    return time.perf_counter() - begin, _processor() - busy


async def delete_and_apply(world: World) -> float:
    """Delete one object and apply it again; return the seconds."""
    one = config_map(world.namespace, "0")
    await apply(world.kube, one)
    begin = time.perf_counter()
    await delete(world.kube, one)
    await apply(world.kube, one)
    return time.perf_counter() - begin


async def change_and_apply(world: World) -> float:
    """Change one object and put it back; return the seconds."""
    one = config_map(world.namespace, "0")
    await apply(world.kube, one)
    begin = time.perf_counter()
    await world.kube.merge("ConfigMap", "floor", {"data": {"value": "x"}}, world.namespace)
    await apply(world.kube, one)
    return time.perf_counter() - begin


def config_map(namespace: str, value: str) -> Any:
    """Return an object that only the floor touches."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "floor", "namespace": namespace},
        "data": {"value": value},
    }


async def _each(items: Iterable[Any], work: Callable[[Any], Awaitable[None]]) -> float:
    waiting = iter(items)

    async def worker() -> None:
        for one in waiting:
            await work(one)

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(CONCURRENCY):
            group.create_task(worker())
    return time.perf_counter() - begin


def _processor() -> float:
    """Return the processor seconds that we and our children have used so far."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
