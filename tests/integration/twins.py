"""
What the tests of both clusters share: a cluster to test, its requests and watches, manifests.

The same tests run on the emulator and on the real control plane.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Literal

import aiohttp
import pytest

from sandbox import controlplane_build
from sandbox.cluster import cluster
from sandbox.kube import Kube, kube
from sandbox.progress import silent

TwinKind = Literal["emulator", "real"]
Answer = tuple[int, Any]

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
CONFIG_MAPS = "api/v1/namespaces/{}/configmaps"
DEPLOYMENTS = "apis/apps/v1/namespaces/{}/deployments"

_numbers = count(1)


class Twin:
    """One of the two clusters."""

    def __init__(self, api: Kube, kind: str) -> None:
        self.kind = kind
        self.call = api.call
        self.api = api

    async def namespace(self) -> str:
        """Create a namespace of its own for a test."""
        name = f"twins-{next(_numbers)}"
        status, _ = await self.call("POST", "api/v1/namespaces", {"metadata": {"name": name}})
        assert status == 201
        return name

    async def apply(
        self, path: str, obj: Mapping[str, Any], manager: str = "flux", **params: str
    ) -> Answer:
        """Apply *obj* on the server's side."""
        place = f"{path}/{obj['metadata']['name']}"
        return await self.call("PATCH", place, obj, APPLY, fieldManager=manager, **params)

    async def applied(
        self, path: str, obj: Mapping[str, Any], manager: str = "flux", **params: str
    ) -> Any:
        """Apply *obj*, which must succeed, and return the new state."""
        status, new = await self.apply(path, obj, manager, **params)
        assert status in (200, 201), new
        return new

    async def serves(self, path: str) -> bool:
        """Tell whether there is anything at *path*; where not, the answer is no JSON."""
        async with self._request(path, "application/json", {}) as answer:
            return bool(answer.status == 200)

    async def get(self, path: str, accept: str = "application/json") -> Any:
        """Read in another form."""
        async with self._request(path, accept, {}) as answer:
            return await answer.json(content_type=None)

    @asynccontextmanager
    async def watch(
        self, path: str, accept: str = "application/json", **params: str
    ) -> AsyncIterator["Events"]:
        """Watch until the end of the block."""
        async with self._request(path, accept, {"watch": "1", **params}) as answer:
            assert answer.status == 200, await answer.text()
            yield Events(answer)

    def _request(self, path: str, accept: str, params: Mapping[str, str]) -> Any:
        headers = {"Accept": accept}
        key = self.api._api.configuration.api_key
        if "BearerToken" in key:
            headers["Authorization"] = key["BearerToken"]
        session = self.api._session
        return session.get(f"{self.api.host}/{path}", params=params, headers=headers)


class Events:
    """The events of one watch."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def next(self, timeout: float = 10.0) -> tuple[str, Any]:
        """Return the next event's type and object; `END` and None at the end."""
        async with asyncio.timeout(timeout):
            line = await self._answer.content.readline()
        if not line:
            return "END", None
        event = json.loads(line)
        return event["type"], event["object"]


@asynccontextmanager
async def twin(kind: TwinKind, directory: Path) -> AsyncIterator[Twin]:
    """Run a cluster of *kind*."""
    if kind == "real" and not controlplane_build.is_built():
        pytest.skip("not built: python -m sandbox.controlplane_build")
    async with cluster(directory, kind, say=silent) as it, kube(it.kubeconfig) as api:
        yield Twin(api, kind)


def config_map(name: str, labels: Mapping[str, str] | None = None, **data: str) -> dict[str, Any]:
    metadata = {"name": name} | ({"labels": labels} if labels else {})
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def deployment(
    name: str, *, image: str = "web:1", env: Mapping[str, str] | None = None, **spec: Any
) -> dict[str, Any]:
    labels = {"app": name}
    container = {
        "name": "web",
        "image": image,
        "ports": [{"containerPort": 80}],
        "env": [{"name": key, "value": value} for key, value in (env or {}).items()],
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


def definition(kind: str) -> dict[str, Any]:
    """Return the definition of a custom resource in the group twins.example.com."""
    plural = f"{kind.lower()}s"
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "color": {"type": "string"},
                    "size": {"type": "integer"},
                    "parts": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["name"],
                        "items": {
                            "type": "object",
                            "required": ["name"],
                            "properties": {"name": {"type": "string"}},
                        },
                    },
                },
            },
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    }
    served = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.twins.example.com"},
        "spec": {
            "group": "twins.example.com",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [served],
        },
    }


def version(obj: Any) -> str:
    return str(obj["metadata"]["resourceVersion"])


def entry(obj: Any, manager: str = "flux") -> Any:
    """Return what *manager* owns of an object; None where it owns nothing."""
    found = [it for it in obj["metadata"]["managedFields"] if it["manager"] == manager]
    return found[0]["fieldsV1"] if found else None


def env_of(obj: Any) -> dict[str, str]:
    container = obj["spec"]["template"]["spec"]["containers"][0]
    return {one["name"]: one["value"] for one in container.get("env", ())}
