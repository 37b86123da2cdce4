"""
The API server of one target: few verbs, no models, errors in our words.

Requests are our own: the clients of kubernetes-asyncio decode what we never look at. Read
`door` for how the server is found.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import structlog
from prometheus_client import Counter

from services.cluster_applier.answers import Answer, Event, body_of, event, lines, refusal
from services.cluster_applier.domain.ownership import MANAGER
from services.cluster_applier.door import Door, door
from services.cluster_applier.way import Params, Way
from shared.config.target import Target
from shared.runtime.errors import TemporaryError

logger = structlog.get_logger(__name__)

METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"

REQUESTS = Counter("flux_cluster_applier_requests_total", "API requests", ["target", "verb"])

Check = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class _Tally:
    requests: int = 0


class Kube:
    """One target's API server."""

    def __init__(
        self,
        target: Target,
        way_in: Door,
        *,
        check: Check | None = None,
        account: str = "",
        rehearsing: bool = False,
        tally: _Tally | None = None,
    ) -> None:
        self.name = way_in.name
        self._target = target
        self._door = way_in
        self._check = check
        self._account = account
        self.rehearsing = rehearsing
        """Whether nothing is written, and the answers show what would be."""
        self._tally = tally or _Tally()

    @property
    def requests(self) -> int:
        """How much was asked of it so far, whoever we acted as."""
        return self._tally.requests

    def fenced(self, check: Check) -> "Kube":
        """Return the same server, of which nothing that writes is asked unless *check* returns."""
        return self._like(check=check)

    def acting_as(self, account: str) -> "Kube":
        """Return the same server, asked as the service account `namespace/name`."""
        return self._like(account=account)

    def rehearsal(self) -> "Kube":
        """Return the same server, of which nothing is written: answers show what would be."""
        return self._like(rehearsing=True)

    def _like(self, **changes: Any) -> "Kube":
        same = {"check": self._check, "account": self._account, "rehearsing": self.rehearsing}
        return Kube(self._target, self._door, tally=self._tally, **{**same, **changes})

    def beside(self) -> "Kube":
        """Return the same server; what is asked of it there is no part of what a sync costs."""
        return Kube(self._target, self._door)

    async def get(self, path: str, *, accept: str = "application/json", **params: str) -> Answer:
        """
        Read an object or a list.

        Raises:
            TemporaryError: not now.
        """
        return self._certain(await self.look(path, accept=accept, **params))

    async def look(self, path: str, *, accept: str = "application/json", **params: str) -> Answer:
        """Do the same, and leave it to the caller what a passing refusal means."""
        return await self._call("GET", "get", path, accept=accept, params=params)

    async def alive(self) -> None:
        """
        Return if the API server answers at all.

        Raises:
            TemporaryError: it does not, so what failed was not an object's own fault.
        """
        self._certain(await self.look("/version"))

    async def apply(self, path: str, body: bytes, *, force: bool = True) -> Answer:
        """Apply *body*; with *force* conflicts are decided for us. The answer is the metadata."""
        params = {"fieldManager": MANAGER, **({"force": "true"} if force else {})}
        return await self._once_more(
            "PATCH",
            "apply",
            path,
            body=body,
            content_type="application/apply-patch+yaml",
            accept="application/json" if self.rehearsing else METADATA,
            params=params,
        )

    async def patch(self, path: str, operations: object) -> Answer:
        """Change an object by a JSON patch. The answer is the metadata."""
        return await self._once_more(
            "PATCH",
            "patch",
            path,
            body=json.dumps(operations).encode(),
            content_type="application/json-patch+json",
            accept=METADATA,
            params={"fieldManager": MANAGER},
        )

    async def create(self, path: str, body: object) -> Answer:
        """Create an object in the collection *path*."""
        return await self._written("POST", "create", path, body)

    async def replace(self, path: str, body: object) -> Answer:
        """Replace an object; with a resourceVersion only if it still has that."""
        return await self._written("PUT", "update", path, body)

    async def _written(self, method: str, verb: str, path: str, body: object) -> Answer:
        data, params = json.dumps(body).encode(), {"fieldManager": MANAGER}
        return self._certain(await self._call(method, verb, path, body=data, params=params))

    async def delete(self, path: str, *, uid: str, version: str) -> Answer:
        """Delete an object if it is still the one with that uid, and nobody wrote to it since."""
        options = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid, "resourceVersion": version},
        }
        body = json.dumps(options).encode()
        return await self._once_more("DELETE", "delete", path, body=body)

    async def watch(self, path: str, *, accept: str, **params: str) -> AsyncGenerator[Event, None]:
        """
        Yield the events of a watch until the server ends it, or it is cut.

        A refusal and what can't be read are events of type `ERROR`.

        Raises:
            TemporaryError: the server can't be reached.
        """
        begun, account = False, self._account
        self._count("watch")
        try:
            async with (
                self._door.way() as way,
                way.watch(path, account=account, accept=accept, params=params) as answer,
            ):
                if answer.status != 200:
                    yield refusal(answer.status, await body_of(answer))
                    return
                begun = True
                yield Event(type="BEGUN", object={})
                async for line in lines(answer.content):
                    yield event(line)
        except (aiohttp.ClientError, TimeoutError) as error:
            if not begun:
                raise self._away(error) from error
            logger.debug("watch cut", path=path, reason=_said(error))

    async def _once_more(self, method: str, verb: str, path: str, **more: Any) -> Answer:
        """Ask again at once where a connection broke: what is asked may be done twice."""
        try:
            return await self._call(method, verb, path, **more)
        except TemporaryError as error:
            logger.debug("asked again", path=path, reason=error.reason)
            return await self._call(method, verb, path, **more)

    async def _call(self, method: str, verb: str, path: str, **more: Any) -> Answer:
        async with self._door.way() as way:
            answer = await self._ask(way, method, verb, path, **more)
        if answer.unknown and await self._door.renewed(way):
            async with self._door.way() as way:
                answer = await self._ask(way, method, verb, path, **more)
        if answer.unknown:
            raise TemporaryError(self.name, "it refuses our credentials; check the kubeconfig")
        return answer

    async def _ask(
        self,
        way: Way,
        method: str,
        verb: str,
        path: str,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        params: Params | None = None,
    ) -> Answer:
        if self._check and method != "GET":
            await self._check()  # last of all: who was frozen finds out before it writes
        if self.rehearsing and method != "GET":
            params = {**(params or {}), "dryRun": "All"}
        self._count(verb)
        try:
            return await way.ask(
                method,
                path,
                account=self._account,
                headers={"Content-Type": content_type, "Accept": accept},
                params=params,
                body=body,
                seconds=self._target.timeout,
            )
        except aiohttp.ClientError as error:
            raise self._away(error) from error

    def _away(self, error: Exception) -> TemporaryError:
        self._door.doubt()
        return TemporaryError(self.name, _said(error))

    def _certain(self, answer: Answer) -> Answer:
        """Raise what may pass: nothing can be done without this answer."""
        if answer.passing:
            raise TemporaryError(self.name, answer.reason, retry_after=answer.retry_after)
        return answer

    def _count(self, verb: str) -> None:
        self._tally.requests += 1
        REQUESTS.labels(self._target.name, verb).inc()


@asynccontextmanager
async def kube(target: Target) -> AsyncIterator[Kube]:
    """Open the API server of *target*; nothing is asked of it yet."""
    async with door(target) as way_in:
        yield Kube(target, way_in)


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
