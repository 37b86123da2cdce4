"""What the figures are measured on: the sandbox with the real control plane, and 1,000 objects."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp

from sandbox.everything import everything
from sandbox.progress import to_stderr
from sandbox.world import World, world

APPS = 250
"""An app is four objects in one file: 1,000 objects."""

_APP = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  replicas: 0
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      serviceAccountName: {name}
      containers: [{{name: main, image: "registry.example.com/{name}:1.0.0"}}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {name}, namespace: {namespace}}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{selector: {{app: {name}}}, ports: [{{port: 80}}]}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: {name}, namespace: {namespace}}}
data: {{value: "{value}"}}
"""


def app(name: str, namespace: str, value: object = 0) -> str:
    """Return the manifests of one app; *value* stands in its ConfigMap."""
    return _APP.format(name=name, namespace=namespace, value=value)


def apps(namespace: str, count: int = APPS) -> dict[str, str]:
    """Return the files of *count* apps."""
    names = [f"app-{number:03}" for number in range(count)]
    return {f"apps/{name}.yaml": app(name, namespace) for name in names}


@asynccontextmanager
async def a_world(name: str) -> AsyncIterator[World]:
    """Run a whole Flux on a sandbox of its own with the real control plane."""
    with TemporaryDirectory(prefix="flux-bench-") as directory:
        root = Path(directory)
        async with (
            everything(root / "place", cluster="real", say=to_stderr) as place,
            world(place, root / "world", name, options={"prune_limit": 1.0}) as found,
        ):
            yield found


@asynccontextmanager
async def two_worlds(
    one: Mapping[str, object], other: Mapping[str, object]
) -> AsyncIterator[tuple[World, World]]:
    """Run two whole Flux on one sandbox, each with a repository of its own."""
    with TemporaryDirectory(prefix="flux-bench-") as directory:
        root = Path(directory)
        async with AsyncExitStack() as stack:
            place = await stack.enter_async_context(
                everything(root / "place", cluster="real", say=to_stderr)
            )
            yield (
                await stack.enter_async_context(world(place, root / "one", "one", **one)),
                await stack.enter_async_context(world(place, root / "other", "other", **other)),
            )


async def requests(found: World) -> float:
    """Return how many API requests cluster-applier has made so far."""
    url = f"http://127.0.0.1:{found.flux.ports['cluster-applier']}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        text = await answer.text()
    pattern = r"^flux_cluster_applier_requests_total\{[^}]*\} (\S+)"
    return sum(float(count) for count in re.findall(pattern, text, re.MULTILINE))


async def wait_value(found: World, name: str, value: str) -> None:
    """Wait until the ConfigMap of the app *name* holds *value*."""
    await found.kube.wait(
        "ConfigMap",
        name,
        lambda one: one is not None and one["data"]["value"] == value,
        namespace=found.namespace,
    )


async def applied(found: World) -> None:
    """Wait until the gateway knows that the head of the branch was applied."""
    await all_at(found, await found.copy.head())


async def all_at(found: World, revision: str) -> None:
    """
    Wait until the gateway knows that all syncs have applied *revision*.

    Where there are many it is asked less often: each answer is a list of all, and to make and read
    it takes processor from what is measured.
    """
    async with aiohttp.ClientSession() as session, asyncio.timeout(180):
        while True:
            async with session.get(f"{_root(found)}/api/v1/syncs") as answer:
                syncs = json.loads(await answer.text())
            if all(sync["applied"] == revision for sync in syncs):
                return
            await asyncio.sleep(max(0.01, 0.0005 * len(syncs)))


@asynccontextmanager
async def event(found: World, kind: str) -> AsyncIterator[None]:
    """At the end of the block, wait for the first event of *kind* since its beginning."""
    url = f"{_root(found)}/api/v1/events"
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, params={"type": kind}) as answer,
    ):
        await asyncio.sleep(0.2)  # the answer begins a moment before the log is followed
        yield
        async with asyncio.timeout(60):
            async for line in answer.content:
                if line.startswith(b"data:"):
                    return


def _root(found: World) -> str:
    return found.flux.gateway_url.removesuffix("/api/flux")
