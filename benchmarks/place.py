"""What the figures are measured on: the sandbox with the real control plane, and 1,000 objects."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
            world(place, root / "world", name) as found,
        ):
            yield found


async def requests(found: World) -> float:
    """Return how many API requests cluster-applier has made so far."""
    url = f"http://127.0.0.1:{found.flux.ports['cluster-applier']}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        text = await answer.text()
    pattern = r"^flux_cluster_applier_requests_total\{[^}]*\} (\S+)"
    return sum(float(count) for count in re.findall(pattern, text, re.MULTILINE))
