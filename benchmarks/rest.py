"""A large installation at rest: 500 syncs, 200 registries, 3 replicas of each stage."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, create_subprocess_exec
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import aiohttp

from benchmarks.row import Row, at_most
from benchmarks.usage import cpu, named, pss
from sandbox.everything import Everything, everything
from sandbox.git_server import Repository
from sandbox.images import Images
from sandbox.installation import SERVICES, Installation
from sandbox.progress import to_stderr
from sandbox.proxy import proxy
from sandbox.virtual_host import virtual_host
from sandbox.working_copy import WorkingCopy

SYNCS = 500
REPOSITORIES = 10
REGISTRIES = 200
REPLICAS = 3
START = 600.0
"""Seconds for all to be applied, on a busy machine; a quiet one needs 40."""
SETTLE = 15.0
REST = 75.0
"""Seconds: a quarter of the default intervals, over which ticks are spread evenly."""
LARGEST = 256
"""MiB: the limit of the services in `k8s/base`."""
BROKER = "beam.smp"
STATISTICS = 30.0
"""Seconds, as in `k8s/base` and `docker-compose.yml`."""

_MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  annotations: {{fluxcd.io/automated: "true", fluxcd.io/tag.main: "semver:1.x"}}
spec:
  replicas: 0
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      containers: [{{name: main, image: "{host}/rest/app:1.0.0"}}]
"""
_IDLE = """
import aio_pika, asyncio, sys
async def main():
    both = [await aio_pika.connect(sys.argv[1] + "?heartbeat=5") for _ in range(2)]
    print("connected", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


async def measure() -> list[Row]:
    """Measure broker and processes, and before them the broker with nobody on the same queues."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="flux-bench-")))
        enter = stack.enter_async_context
        where = directory / "place"
        place = await enter(everything(where, "emulator", say=to_stderr, statistics=STATISTICS))
        flux = await _configured(place, directory / "flux", stack)
        (broker,) = named(BROKER)
        async with _idle(flux.amqp_url) as idle:
            least = await _used({"broker": broker, "process": idle}, SETTLE)
            floors = {"broker": pss(broker), "process": pss(idle)}
        try:
            pids = {"broker": broker, **await _all_running(flux)}
            print("all syncs are applied", file=sys.stderr)
            await asyncio.sleep(SETTLE)
            used = await _used(pids, REST)
            memory = {name: pss(pid) for name, pid in pids.items()}
        finally:
            await flux.stop()
    return [*_rows("cpu", "% of a core", used, least), *_rows("pss", "MiB", memory, floors)]


def _rows(
    what: str, unit: str, values: Mapping[str, float], floors: Mapping[str, float]
) -> Iterable[Row]:
    """Yield the broker's figure, and of each service that of its busiest replica."""
    bars = {"cpu": (5.0, 2.0), "pss": (1024.0, LARGEST)}[what]
    yield at_most(
        f"rest.{what}.broker", values["broker"], unit, floor=floors["broker"], bar=bars[0]
    )
    for service in SERVICES:
        most = max(value for name, value in values.items() if name.partition(".")[0] == service)
        yield at_most(f"rest.{what}.{service}", most, unit, floor=floors["process"], bar=bars[1])


async def _used(pids: Mapping[str, int], seconds: float) -> Mapping[str, float]:
    """Return the share of a core, in percent, that each process uses."""
    before = {name: cpu([pid]) for name, pid in pids.items()}
    await asyncio.sleep(seconds)
    return {name: (cpu([pid]) - before[name]) / seconds * 100 for name, pid in pids.items()}


@asynccontextmanager
async def _idle(amqp_url: str) -> AsyncIterator[int]:
    """Run a process that has two connections, as ours have, and does nothing."""
    process = await create_subprocess_exec(
        *(sys.executable, "-c", _IDLE, amqp_url), stdin=DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        await process.stdout.readline()
        yield process.pid
    finally:
        process.kill()
        await process.wait()


async def _configured(place: Everything, directory: Path, stack: AsyncExitStack) -> Installation:
    """Push the manifests, open the registry's doors, and declare what all of it needs."""
    enter = stack.enter_async_context
    images = await enter(Images(place.registry.host))
    await images.push("rest/app", "1.0.0")
    to = urlsplit(f"//{place.registry.host}")
    doors = [await enter(proxy(to.hostname or "", to.port or 0)) for _ in range(REGISTRIES)]
    hosts = [f"127.0.0.1:{door.port}" for door in doors]
    repositories = [await place.git.create(f"rest-{n}") for n in range(REPOSITORIES)]
    for number, repository in enumerate(repositories):
        copy = await WorkingCopy.clone(repository, directory / f"copy-{number}")
        await copy.commit_and_push("Begin", _files(number, hosts))
    config = {
        "syncs": [_sync(n, repositories[n % REPOSITORIES], place) for n in range(SYNCS)],
        "registries": [{"host": host, "insecure": True} for host in hosts],
    }
    amqp_url = await enter(virtual_host(place.broker))
    flux = Installation(directory, place, amqp_url, config, namespace="flux-system")
    await flux.configure()
    return flux


def _files(repository: int, hosts: Sequence[str]) -> Mapping[str, str]:
    mine = range(repository, SYNCS, REPOSITORIES)
    return {
        f"sync-{n}/app.yaml": _MANIFEST.format(name=f"app-{n}", host=hosts[n % len(hosts)])
        for n in mine
    }


def _sync(number: int, repository: Repository, place: Everything) -> Mapping[str, object]:
    auth = {"username": place.git.username, "password": {"env": "GIT_PASSWORD"}}
    git = {"url": repository.http_url, "branch": "main", "paths": [f"sync-{number}"], "auth": auth}
    return {"name": f"sync-{number}", "git": git}


async def _all_running(flux: Installation) -> Mapping[str, int]:
    """Start everything, wait until all is applied, and return the processes."""
    await flux.start()
    for service in SERVICES[:-1]:
        for replica in range(2, REPLICAS + 1):
            await flux.launch(f"{service}.{replica}")
    url = flux.gateway_url.replace("/api/flux", "/api/v1/syncs")
    async with aiohttp.ClientSession() as session, asyncio.timeout(START):
        while True:
            async with session.get(url) as answer:
                syncs = await answer.json()
            if all(sync["applied"] for sync in syncs):
                break
            await asyncio.sleep(1)
    flux.check_alive()
    return {name: child.pid for name, child in flux.children.items()}
