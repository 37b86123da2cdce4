"""Many small syncs, of one repository and of a hundred: from new to all applied, and one change."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import bare
from benchmarks.place import all_at, app, applied, wait_value
from benchmarks.row import LARGE, Row, at_most, median
from sandbox.everything import Everything, everything
from sandbox.progress import to_stderr
from sandbox.working_copy import WorkingCopy
from sandbox.world import World, world

SYNCS = 100
HUNDRED = "hundred"
"""The namespace of the syncs that have a repository each."""

PEERS = {
    "100-repositories.new-to-applied": 20.0,
    "100.1-changed.to-applied": 2.7,
    "100.1-changed.all-told": 13.1,
}
"""Seconds that Flux 2 takes on a quiet machine of 2 cores, its temporary files in memory."""


async def measure() -> list[Row]:
    """Measure from the push to the last of 100 syncs applied."""
    ours, floors, changed, told = [], [], [], []
    with TemporaryDirectory(prefix="flux-bench-") as directory:
        async with everything(Path(directory) / "place", "real", say=to_stderr) as place:
            for turn in range(LARGE):
                async with _many(place, Path(directory) / f"world-{turn}", turn) as found:
                    floors.append(await _floor(found))
                    ours.append(await _all_applied(found))
                    begin = time.perf_counter()
                    changed.append(await _one_changed(found, begin))
                    await applied(found)
                    told.append(time.perf_counter() - begin)
            apart = await _of_repositories(place, Path(directory))
    floor, new = median(floors), "syncs.100.new-to-applied"
    values = {
        "100.1-changed.to-applied": median(changed),
        "100.1-changed.all-told": median(told),
        "100-repositories.new-to-applied": apart,
    }
    return [
        at_most(new, median(ours), "s", floor=floor, bar=2.5 * floor),
        *(at_most(f"syncs.{name}", values[name], "s", bar=bar) for name, bar in PEERS.items()),
    ]


@asynccontextmanager
async def _many(place: Everything, directory: Path, turn: int) -> AsyncIterator[World]:
    """Run Flux with a sync for each folder of a repository; the folders are empty still."""
    name = f"syncs-{turn}"
    syncs = [_sync(place, n, name) for n in range(SYNCS)]
    async with world(place, directory, name, syncs=syncs) as found:
        yield found


def _sync(place: Everything, number: int, repository: str) -> Mapping[str, object]:
    name = f"sync-{number:02}"
    auth = {"username": place.git.username, "password": {"env": "GIT_PASSWORD"}}
    url = f"{place.git.http_url}/{repository}.git"
    return {"name": name, "git": {"url": url, "branch": "main", "paths": [name], "auth": auth}}


def _apps(namespace: str) -> Mapping[str, str]:
    return {f"sync-{n:02}/app.yaml": app(f"app-{n:02}", namespace) for n in range(SYNCS)}


async def _floor(found: World) -> float:
    """Apply as many objects by hand."""
    namespace = f"{found.namespace}-bare"
    await found.kube.call("POST", "api/v1/namespaces", {"metadata": {"name": namespace}})
    return await bare.apply_all(found.kube, bare.objects(namespace, SYNCS))


async def _all_applied(found: World) -> float:
    """Push an app for each sync and wait for all."""
    await found.kube.call("POST", "api/v1/namespaces", {"metadata": {"name": found.namespace}})
    begin = time.perf_counter()
    await found.push("Add all", _apps(found.namespace))
    await applied(found)
    return time.perf_counter() - begin


async def _one_changed(found: World, begin: float) -> float:
    """Push a change of one object of one sync, and wait for it alone."""
    files = {"sync-07/app.yaml": app("app-07", found.namespace, value=1)}
    await found.push("Change one", files)
    await wait_value(found, "app-07", "1")
    return time.perf_counter() - begin


async def _of_repositories(place: Everything, directory: Path) -> float:
    """Move the branches of 100 repositories at once, tell all, and wait for the last sync."""
    root, ready = place.git.root, await _prepared(place, directory)
    for number in range(SYNCS):
        shutil.copytree(root / "source.git", root / f"own-{number:02}.git")
    syncs = [_sync(place, n, f"own-{n:02}") for n in range(SYNCS)]
    async with world(place, directory / HUNDRED, HUNDRED, syncs=syncs) as found:
        await found.kube.call("POST", "api/v1/namespaces", {"metadata": {"name": HUNDRED}})
        begin = time.perf_counter()
        for number in range(SYNCS):
            (root / f"own-{number:02}.git/refs/heads/main").write_text(f"{ready}\n")
        urls = [f"{place.git.http_url}/own-{number:02}.git" for number in range(SYNCS)]
        hooks = (found.notify("git", {"URL": url, "Branch": "main"}) for url in urls)
        await asyncio.gather(*hooks)
        await all_at(found, ready)
        return time.perf_counter() - begin


async def _prepared(place: Everything, directory: Path) -> str:
    """Make the repository that each sync has a copy of, and a commit that its branch lacks yet."""
    source = await place.git.create("source")
    copy = await WorkingCopy.clone(source, directory / "source")
    await copy.commit_and_push("Begin", {"README.md": "apps"})
    copy.write(_apps(HUNDRED))
    ready = await copy.commit("Add all")
    await copy.git("push", "--quiet", "origin", "HEAD:refs/heads/ready")
    return ready
