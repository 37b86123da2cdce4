"""
A proxy in front of an API server, which misbehaves as it is told and remembers what it was asked.

What it answers itself never reaches the server. The first fault that fits a request happens; the
rest passes. Read `api_faults` for what can happen.
"""

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web
from kubernetes_asyncio import config
from multidict import CIMultiDict

LONGEST_LINE = 2**21
"""Bytes of an event of a watch."""
_HOP = {"host", "connection", "transfer-encoding", "content-length", "content-encoding"}
"""Headers that hold for one of the two connections only."""

Act = Callable[[web.Request, "ApiProxy"], Awaitable[web.StreamResponse]]
"""Answers a request instead of the server, or asks that one, too."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """What happens to some requests."""

    act: Act
    verb: str = ""
    """GET, WATCH, PATCH, POST, PUT, DELETE; empty for any."""
    path: str = ""
    """A regular expression that is looked for in path and query."""
    share: float = 1.0
    """Of the requests that fit."""
    times: int | None = None
    """So often at most; None for always."""
    met: int = 0
    """How often it has happened."""

    def fits(self, asked: "Asked", chance: random.Random) -> bool:
        """Tell whether it happens now."""
        return (
            self.verb in {"", asked.verb}
            and re.search(self.path, asked.path) is not None
            and (self.times is None or self.met < self.times)
            and chance.random() < self.share
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as it came."""

    at: float
    """On the loop's clock."""
    verb: str
    path: str
    """With its query."""


@dataclass(slots=True, kw_only=True)
class ApiProxy:
    """Where Flux finds the API server."""

    host: str
    session: aiohttp.ClientSession
    kubeconfig: Path
    faults: list[Fault] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    watches: set[asyncio.Transport] = field(default_factory=set)
    """The connections of those under way."""
    chance: random.Random = field(default_factory=lambda: random.Random(1))

    def count(self, verb: str = "", path: str = "") -> int:
        """Return how often something was asked."""
        return len(self.times(verb, path))

    def times(self, verb: str = "", path: str = "") -> list[float]:
        """Return when something was asked, on the loop's clock."""
        return [
            one.at
            for one in self.asked
            if verb in {"", one.verb} and re.search(path, one.path) is not None
        ]

    def cut_watches(self) -> None:
        """Break the connections of all watches."""
        for connection in self.watches:
            connection.abort()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        connection = request.transport
        if not request.query.get("watch") or connection is None:
            return await self._answer(request, request.method)
        self.watches.add(connection)
        try:
            return await self._answer(request, "WATCH")
        finally:
            self.watches.discard(connection)

    async def _answer(self, request: web.Request, verb: str) -> web.StreamResponse:
        now = asyncio.get_running_loop().time()
        asked = Asked(at=now, verb=verb, path=request.path_qs)
        self.asked.append(asked)
        for fault in self.faults:
            if fault.fits(asked, self.chance):
                fault.met += 1
                return await fault.act(request, self)
        return await self.passed(request)

    @asynccontextmanager
    async def asking(
        self, request: web.Request, **query: str
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask the server the same; *query* changes parameters."""
        headers = CIMultiDict((k, v) for k, v in request.headers.items() if k.lower() not in _HOP)
        async with self.session.request(
            request.method,
            self.host + request.path,
            params={**request.query, **query},
            data=await request.read(),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None),
        ) as answer:
            yield answer

    async def passed(self, request: web.Request, **query: str) -> web.StreamResponse:
        """Pass a request on, and its answer as it comes."""
        async with self.asking(request, **query) as answer:
            response = await begun(request, answer)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            return response


async def begun(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    """Begin the answer that the server has begun."""
    headers = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP}
    response = web.StreamResponse(status=answer.status, headers=headers)
    await response.prepare(request)
    return response


@asynccontextmanager
async def api_proxy(kubeconfig: Path, directory: Path) -> AsyncIterator[ApiProxy]:
    """Run a proxy in front of the server of *kubeconfig*; its own one leads to the proxy."""
    api = await config.new_client_from_config(config_file=str(kubeconfig))
    connector = api.rest_client.pool_manager.connector
    async with (
        api,
        aiohttp.ClientSession(
            connector=connector, connector_owner=False, read_bufsize=LONGEST_LINE
        ) as session,
    ):
        app = web.Application(client_max_size=2**24)
        found = ApiProxy(
            host=str(api.configuration.host),
            session=session,
            kubeconfig=directory / "through-the-proxy",
        )
        app.router.add_route("*", "/{path:.*}", found.serve)
        runner = web.AppRunner(app, shutdown_timeout=0.05, handler_cancellation=True)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            server = f"http://127.0.0.1:{runner.addresses[0][1]}"
            found.kubeconfig.write_text(json.dumps(_led(kubeconfig, server)))
            yield found
        finally:
            await runner.cleanup()


def _led(kubeconfig: Path, server: str) -> Any:
    """Return the same kubeconfig for another *server*."""
    value = yaml.safe_load(kubeconfig.read_text())
    for one in value["clusters"]:
        one["cluster"] = {"server": server}
    return value
