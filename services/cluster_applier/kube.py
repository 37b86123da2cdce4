"""
The API server of one target: few verbs, no models, errors in our words.

kubernetes-asyncio reads kubeconfigs and tokens and holds the TLS session; requests are our own,
since its clients decode what we never look at.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import aiohttp
import structlog
from kubernetes_asyncio import config as kube_config
from kubernetes_asyncio.client import ApiClient
from prometheus_client import Counter

from services.cluster_applier.domain.ownership import MANAGER
from shared.config.model import Target
from shared.runtime.errors import PermanentError, TemporaryError

logger = structlog.get_logger(__name__)

METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"

REQUESTS = Counter("flux_cluster_applier_requests_total", "API requests", ["target", "verb"])

Params = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the API server said."""

    status: int
    body: Any

    @property
    def ok(self) -> bool:
        """Whether it did what was asked."""
        return self.status < 300

    @property
    def reason(self) -> str:
        """Why not, in the server's words."""
        if isinstance(self.body, Mapping):
            return str(self.body.get("message") or self.body)[:1000]
        return f"HTTP {self.status}: {self.body}"[:1000]


class Kube:
    """One target's API server."""

    def __init__(self, target: Target, api: ApiClient) -> None:
        self.name = f"cluster {target.name}"
        self.requests = 0
        self._target = target
        self._api = api
        self._session: aiohttp.ClientSession = api.rest_client.pool_manager
        self._host = str(api.configuration.host)

    async def get(self, path: str, *, accept: str = "application/json", **params: str) -> Answer:
        """Read an object or a list."""
        return await self._call("GET", "get", path, accept=accept, params=params)

    async def apply(self, path: str, body: bytes) -> Answer:
        """Apply *body*; conflicts with others are decided for us. The answer is the metadata."""
        return await self._call(
            "PATCH",
            "apply",
            path,
            body=body,
            content_type="application/apply-patch+yaml",
            accept=METADATA,
            params={"fieldManager": MANAGER, "force": "true"},
        )

    async def create(self, path: str, body: object) -> Answer:
        """Create an object in the collection *path*."""
        data = json.dumps(body).encode()
        params = {"fieldManager": MANAGER}
        return await self._call("POST", "create", path, body=data, params=params)

    async def replace(self, path: str, body: object) -> Answer:
        """Replace an object; with a resourceVersion only if it still has that."""
        data = json.dumps(body).encode()
        params = {"fieldManager": MANAGER}
        return await self._call("PUT", "update", path, body=data, params=params)

    async def delete(self, path: str, *, uid: str) -> Answer:
        """Delete an object if it is still the one with that uid."""
        options = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": "Background",
            **({"preconditions": {"uid": uid}} if uid else {}),
        }
        return await self._call("DELETE", "delete", path, body=json.dumps(options).encode())

    async def watch(self, path: str, *, accept: str, **params: str) -> AsyncIterator[Any]:
        """Yield the events of a watch until the server ends it."""
        seconds = float(params.get("timeoutSeconds", "300"))
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=seconds + 30)
        headers = {"Accept": accept, **await self._authorization()}
        self._count("watch")
        try:
            async with self._session.get(
                self._host + path, params={**params, "watch": "1"}, headers=headers, timeout=timeout
            ) as answer:
                if answer.status != 200:
                    yield {"type": "ERROR", "object": {"code": answer.status}}
                    return
                rest = b""
                async for chunk in answer.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        yield json.loads(line)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise TemporaryError(self.name, _said(error)) from error

    async def _call(
        self,
        method: str,
        verb: str,
        path: str,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        params: Params | None = None,
    ) -> Answer:
        headers = {"Content-Type": content_type, "Accept": accept, **await self._authorization()}
        self._count(verb)
        try:
            async with self._session.request(
                method,
                self._host + path,
                params=params,
                data=body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=self._target.timeout),
            ) as response:
                data = await response.read()
                retry = response.headers.get("Retry-After", "")
                answer = Answer(status=response.status, body=_decoded(data))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise TemporaryError(self.name, _said(error)) from error
        self._check(answer, retry)
        return answer

    def _check(self, answer: Answer, retry: str) -> None:
        """Raise what concerns the whole cluster, not this one object."""
        overloaded = answer.status in {429, 502, 503, 504}
        # A 500 may be an object's own fault ("failed to create typed patch object"): not retried.
        if overloaded or (answer.status == 500 and "typed patch" not in answer.reason):
            wait = float(retry) if retry.isdigit() else None
            raise TemporaryError(self.name, answer.reason, retry_after=wait)
        if answer.status == 401:
            raise TemporaryError(self.name, "it refuses our credentials; check the kubeconfig")

    async def _authorization(self) -> Mapping[str, str]:
        settings = await self._api.configuration.auth_settings()
        token = settings.get("BearerToken")
        return {"Authorization": token["value"].strip()} if token else {}

    def _count(self, verb: str) -> None:
        self.requests += 1
        REQUESTS.labels(self._target.name, verb).inc()


@asynccontextmanager
async def kube(target: Target) -> AsyncIterator[Kube]:
    """Open the API server of *target*; nothing is asked of it yet."""
    try:
        if target.kubeconfig is None:
            kube_config.load_incluster_config()  # type: ignore[no-untyped-call]
            api = ApiClient()
        else:
            api = await kube_config.new_client_from_config(
                config_file=str(target.kubeconfig), context=target.context
            )
    except (kube_config.ConfigException, OSError) as error:
        where = target.kubeconfig or "the pod's service account"
        raise PermanentError(f"target {target.name}: {where} can't be used: {error}") from error
    async with cast("Any", api):
        yield Kube(target, api)


def _decoded(data: bytes) -> Any:
    try:
        return json.loads(data) if data else None
    except ValueError:
        return data[:500].decode(errors="replace")


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
