"""At rest: memory and processor of all five services with 1,000 objects."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, Process, create_subprocess_exec
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from benchmarks.place import a_world, applied, apps
from benchmarks.row import Row, at_most
from benchmarks.usage import cpu, pss

REST = 60.0
"""Seconds after the last sync before anything is measured, and that it is measured for."""

_ALL = "aio_pika, aiohttp, pydantic, prometheus_client, structlog, yaml"
_LIBRARIES = {
    "cluster-applier": f"{_ALL}, kubernetes_asyncio",
    "gateway": _ALL,
    "git-watcher": f"{_ALL}, pygit2",
    "registry-scanner": f"{_ALL}, re2, sqlite3",
    "repo-writer": f"{_ALL}, pygit2, re2",
}
"""What each service imports that is not ours: processes with only that are the floor."""


async def measure() -> list[Row]:
    """Measure a minute after the last sync, for a minute; then the floor for as long."""
    async with a_world("bench") as world:
        await world.push("Add all apps", apps(world.namespace))
        await applied(world)
        await asyncio.sleep(REST)
        pids = {name: child.pid for name, child in world.flux.children.items()}
        share, memory = await _at_rest(pids)
    async with _bare() as processes:
        floor, bare = await _at_rest({name: one.pid for name, one in processes.items()})
    rows = [at_most(f"idle.pss.{n}", memory[n], "MiB", floor=bare[n], bar=350) for n in bare]
    whole, least = sum(memory.values()), sum(bare.values())
    return [
        at_most("idle.pss", whole, "MiB", floor=least, bar=350),
        *rows,
        at_most("idle.cpu", share, "% of a core", floor=floor, bar=2),
    ]


async def _at_rest(pids: Mapping[str, int]) -> tuple[float, Mapping[str, float]]:
    """Return the share of a core in percent, and the memory of each process in MiB."""
    before = cpu(pids.values())
    await asyncio.sleep(REST)
    share = (cpu(pids.values()) - before) / REST * 100
    return share, {name: pss(pid) for name, pid in sorted(pids.items())}


@asynccontextmanager
async def _bare() -> AsyncIterator[Mapping[str, Process]]:
    """Run processes that import what ours import, and do nothing."""
    processes = {}
    try:
        for name, libraries in _LIBRARIES.items():
            work = f"import {libraries}, time; time.sleep({3 * REST})"
            processes[name] = await create_subprocess_exec(
                sys.executable, "-c", work, stdin=DEVNULL
            )
        await asyncio.sleep(10)  # until all have imported
        yield processes
    finally:
        for one in processes.values():
            one.kill()
            await one.wait()
