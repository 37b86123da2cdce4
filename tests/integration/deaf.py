"""A stage whose applier hears nothing of its watches, as behind a proxy that holds them back."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web

from sandbox.cluster import Cluster
from tests.integration.applier_stage import Stage, staged

INTERVAL = 1.0
"""Seconds between two full comparisons."""


@dataclass(slots=True)
class Between:
    """Stands between an applier and its API server; of watches it passes nothing on."""

    server: str
    session: aiohttp.ClientSession
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Verb and path, without what an applier asks for itself: its Lease and its inventories."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        is_watch = "watch" in request.query
        if "-flux/" not in request.path:
            self.asked.append(("WATCH" if is_watch else request.method, request.path))
        if is_watch:
            return await self._silence(request)
        headers = {k: v for k, v in request.headers.items() if k not in {"Host", "Content-Length"}}
        async with self.session.request(
            request.method,
            f"{self.server}{request.path_qs}",
            headers=headers,
            data=await request.read(),
            ssl=False,
        ) as answer:
            kind = answer.content_type
            return web.Response(status=answer.status, body=await answer.read(), content_type=kind)

    async def _silence(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.sleep(3600)
        return response

    async def wait_lists(self, path: str, times: int) -> None:
        """Wait until *path* was listed so often from now on."""
        wanted = self.asked.count(("GET", path)) + times
        async with asyncio.timeout(30):
            while self.asked.count(("GET", path)) < wanted:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def between(place: Cluster, directory: Path) -> AsyncIterator[tuple[Between, Path]]:
    """Yield the one between, and a kubeconfig that leads to it."""
    config = yaml.safe_load(place.kubeconfig.read_text())
    async with aiohttp.ClientSession() as session:
        found = Between(server=place.server, session=session)
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", found.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        config["clusters"][0]["cluster"] = {"server": f"http://{host}:{port}"}
        path = directory / "kubeconfig-between"
        path.write_text(json.dumps(config))
        try:
            yield found, path
        finally:
            await runner.cleanup()


@asynccontextmanager
async def deaf(place: Cluster, directory: Path) -> AsyncIterator[tuple[Stage, Between]]:
    """Yield a stage whose applier hears nothing of its watches."""
    async with (
        between(place, directory) as (link, kubeconfig),
        staged(place, directory, sync_interval=f"{INTERVAL}s") as stage,
    ):
        (target,) = stage.config.targets
        there = target.model_copy(update={"kubeconfig": kubeconfig})
        config = stage.config.model_copy(update={"targets": [there]})
        yield replace(stage, config=config, told=stage.told), link
