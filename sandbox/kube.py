"""
Looks into a cluster, and disturbs it by hand, for the demo, the tests and the benchmarks.

It stands for a person with kubectl: nothing of it is used by Flux itself.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes_asyncio import config
from kubernetes_asyncio.client import ApiClient

Object = Mapping[str, Any]

_PLACES = {
    "Namespace": "api/v1/namespaces",
    "ConfigMap": "api/v1/namespaces/{namespace}/configmaps",
    "Secret": "api/v1/namespaces/{namespace}/secrets",
    "Service": "api/v1/namespaces/{namespace}/services",
    "ServiceAccount": "api/v1/namespaces/{namespace}/serviceaccounts",
    "Deployment": "apis/apps/v1/namespaces/{namespace}/deployments",
}


class Kube:
    """A person's access to a cluster."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self._session: aiohttp.ClientSession = api.rest_client.pool_manager
        self.host = str(api.configuration.host)

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        content_type: str = "application/json",
        **params: str,
    ) -> tuple[int, Any]:
        """Return the status and the decoded answer of one request."""
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        async with self._session.request(
            method,
            f"{self.host}/{path}",
            params=params,
            headers={**headers, **await self._authorization()},
            data=None if body is None else json.dumps(body),
        ) as answer:
            return answer.status, await answer.json(content_type=None)

    async def metrics(self) -> str:
        """Return what the API server counts, in Prometheus' text format."""
        url, headers = f"{self.host}/metrics", await self._authorization()
        async with self._session.get(url, headers=headers) as answer:
            return await answer.text()

    async def _authorization(self) -> Mapping[str, str]:
        auth = await self._api.configuration.auth_settings()
        if "BearerToken" not in auth:
            return {}
        return {"Authorization": str(auth["BearerToken"]["value"]).strip()}

    async def get(self, kind: str, name: str, namespace: str = "default") -> Object | None:
        """Return an object, or None where there is none."""
        status, found = await self.call("GET", place(kind, name, namespace))
        return found if status == 200 else None

    async def list(self, kind: str, namespace: str = "default") -> list[Object]:
        """Return all objects of a kind in a namespace."""
        _, found = await self.call("GET", place(kind, "", namespace))
        items: list[Object] = found.get("items", [])
        return items

    async def delete(self, kind: str, name: str, namespace: str = "default") -> None:
        """Delete an object, as somebody by hand."""
        await self.call("DELETE", place(kind, name, namespace))

    async def merge(self, kind: str, name: str, patch: Object, namespace: str = "default") -> None:
        """Change an object, as somebody by hand (`kubectl edit`)."""
        await self.call(
            "PATCH",
            place(kind, name, namespace),
            patch,
            "application/merge-patch+json",
            fieldManager="kubectl-edit",
        )

    async def wait(
        self,
        kind: str,
        name: str,
        until: Callable[[Object | None], bool],
        *,
        namespace: str = "default",
        timeout: float = 60.0,
    ) -> Object | None:
        """
        Look until the object is as wanted, and return it.

        Raises:
            TimeoutError: it did not become so; the text holds what it is.
        """
        found: Object | None = None
        try:
            async with asyncio.timeout(timeout):
                while not until(found := await self.get(kind, name, namespace)):
                    await asyncio.sleep(0.01)
        except TimeoutError as error:
            raise TimeoutError(f"{kind} {namespace}/{name} did not become so: {found}") from error
        return found


def place(kind: str, name: str, namespace: str) -> str:
    """Return the path of an object, or of its list where *name* is empty."""
    path = _PLACES[kind].format(namespace=namespace)
    return f"{path}/{name}" if name else path


def images(workload: Object | None) -> list[str]:
    """Return the images of a workload's containers."""
    if workload is None:
        return []
    spec = workload["spec"]["template"]["spec"]
    return [container["image"] for container in spec["containers"]]


def is_rolled_out(workload: Object | None) -> bool:
    """Tell whether a Deployment has finished its rollout."""
    if workload is None:
        return False
    status, wanted = workload.get("status", {}), workload["spec"].get("replicas", 1)
    return bool(
        status.get("observedGeneration") == workload["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
    )


@asynccontextmanager
async def kube(kubeconfig: Path) -> AsyncIterator[Kube]:
    """Open a person's access by *kubeconfig*."""
    api = await config.new_client_from_config(config_file=str(kubeconfig))
    async with api:
        yield Kube(api)
