"""An API server that answers as a test tells it, and what else the applier's parts need."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from services.cluster_applier.kube import Kube, kube
from shared.config.target import Target
from shared.runtime.errors import TemporaryError

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeApi:
    """Answers what it was told to; 404 to the rest. Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.bodies: list[Any] = []
        self._answers: dict[tuple[str, str], Answering] = {}

    def on(self, method: str, path: str, answer: Answering | tuple[int, Any]) -> None:
        """Answer so from now on."""
        self._answers[method, path] = answer if callable(answer) else _fixed(*answer)

    def count(self, method: str, path: str) -> int:
        return self.asked.count((method, path))

    async def wait_asked(self, method: str, path: str, times: int) -> None:
        async with asyncio.timeout(30):
            while self.count(method, path) < times:
                await asyncio.sleep(0.005)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        method = "WATCH" if request.query.get("watch") else request.method
        self.asked.append((method, request.path))
        self.bodies.append(await request.read())
        found = self._answers.get((method, request.path), _fixed(404, {"message": "not found"}))
        return await found(request)


def _fixed(status: int, body: Any) -> Answering:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(body, status=status)

    return answer


def lines(*said: bytes, hold: bool = False) -> Answering:
    """Answer a watch with these lines, then end it, or keep it open."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for line in said:
            await response.write(line + b"\n")
        if hold:
            await asyncio.Event().wait()
        return response

    return answer


def event(kind: str, **metadata: Any) -> bytes:
    """Return a line of a watch."""
    metadata = {"resourceVersion": "5", "name": "a", "namespace": "n", **metadata}
    return json.dumps({"type": kind, "object": {"metadata": metadata}}).encode()


def listed(*items: Any, **metadata: str) -> tuple[int, Any]:
    """Return the answer to a list."""
    return 200, {"metadata": {"resourceVersion": "1", **metadata}, "items": list(items)}


def owned(name: str, fields: str = "f", **more: Any) -> dict[str, Any]:
    """Return an object's metadata with fields of ours."""
    entry = {"manager": "flux", "operation": "Apply", "fieldsV1": {f"f:{fields}": {}}}
    return {
        "name": name,
        "namespace": "n",
        "resourceVersion": "2",
        "uid": f"uid-{name}",
        "managedFields": [entry],
        **more,
    }


class FakeBus:
    """Remembers what it was told of dependencies, and what was published."""

    def __init__(self) -> None:
        self.outages: list[tuple[str, str]] = []
        self.reasons: list[str] = []
        self.published: list[Any] = []
        self._down: set[str] = set()

    async def publish(self, *drafts: Any) -> None:
        self.published += [draft.message for draft in drafts]

    async def down(self, error: TemporaryError) -> None:
        self.reasons.append(str(error))
        if error.dependency not in self._down:
            self._down.add(error.dependency)
            self.outages.append(("down", error.dependency))

    async def up(self, dependency: str) -> None:
        if dependency in self._down:
            self._down.remove(dependency)
            self.outages.append(("up", dependency))


@asynccontextmanager
async def serving(
    api: FakeApi, directory: Path, *, timeout: float = 5.0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Kube]:
    """Serve *api* on loopback; yield access to it."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", api.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.05, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    server = f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
    config = directory / "kubeconfig"
    config.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {"server": server}}],
                "users": [{"name": "u", "user": {"token": "t"}}],
            }
        )
    )
    try:
        async with kube(Target(kubeconfig=config, timeout=timeout)) as found:
            yield found
    finally:
        await runner.cleanup()
