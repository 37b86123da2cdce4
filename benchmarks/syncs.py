"""Many small syncs of one repository: from new to all applied."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import bare
from benchmarks.place import app, applied
from benchmarks.row import LARGE, Row, at_most, median
from sandbox.everything import Everything, everything
from sandbox.progress import to_stderr
from sandbox.world import World, world

SYNCS = 100


async def measure() -> list[Row]:
    """Measure from the push to the last of 100 syncs applied."""
    ours, floors = [], []
    with TemporaryDirectory(prefix="flux-bench-") as directory:
        async with everything(Path(directory) / "place", "real", say=to_stderr) as place:
            for turn in range(LARGE):
                async with _many(place, Path(directory) / f"world-{turn}", turn) as found:
                    floors.append(await _floor(found))
                    ours.append(await _all_applied(found))
    floor = median(floors)
    return [at_most("syncs.100.new-to-applied", median(ours), "s", floor=floor, bar=2.5 * floor)]


@asynccontextmanager
async def _many(place: Everything, directory: Path, turn: int) -> AsyncIterator[World]:
    """Run Flux with a sync for each folder of a repository; the folders are empty still."""
    name = f"syncs-{turn}"
    url = f"{place.git.http_url}/{name}.git"
    auth = {"username": place.git.username, "password": {"env": "GIT_PASSWORD"}}
    syncs = [
        {
            "name": f"sync-{n:02}",
            "git": {"url": url, "branch": "main", "paths": [f"sync-{n:02}"], "auth": auth},
        }
        for n in range(SYNCS)
    ]
    async with world(place, directory, name, syncs=syncs) as found:
        yield found


async def _floor(found: World) -> float:
    """Apply as many objects by hand."""
    namespace = f"{found.namespace}-bare"
    await found.kube.call("POST", "api/v1/namespaces", {"metadata": {"name": namespace}})
    return await bare.apply_all(found.kube, bare.objects(namespace, SYNCS))


async def _all_applied(found: World) -> float:
    """Push an app for each sync and wait for all."""
    await found.kube.call("POST", "api/v1/namespaces", {"metadata": {"name": found.namespace}})
    files = {f"sync-{n:02}/app.yaml": app(f"app-{n:02}", found.namespace) for n in range(SYNCS)}
    begin = time.perf_counter()
    await found.push("Add all", files)
    await applied(found)
    return time.perf_counter() - begin
