"""A gateway played by recorded answers, and `fluxctl` run against it as a process."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """What a command printed, and how it ended."""

    out: str
    err: str
    code: int


class Gateway:
    """Answers by path, and notes what it was sent. A list of answers is given one by one."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.sent: list[Any] = []
        self.asked: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        self.headers.append(request.headers)
        if request.method == "POST":
            self.sent.append(json.loads(await request.text() or "null"))
        answer = self.answers.get(request.path, _missing())
        if isinstance(answer, Several):
            answer = answer.next()
        return answer if isinstance(answer, web.Response) else web.json_response(answer)

    async def run(self, *arguments: str, **environment: str) -> Printed:
        """Run `fluxctl` against us."""
        return await run("--url", self.url, *arguments, **environment)


class Several:
    """Answers one by one; the last one for ever."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)

    def next(self) -> Any:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


async def run(*arguments: str, **environment: str) -> Printed:
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FLUX_", "WEAVE_", "KUBE"))
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "fluxctl",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**clean, "HOME": "/nonexistent", "TZ": "UTC", **environment},
    )
    out, err = await process.communicate()
    return Printed(out=out.decode(), err=err.decode(), code=process.returncode or 0)


@asynccontextmanager
async def a_gateway() -> AsyncIterator[Gateway]:
    found = Gateway()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", found.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/flux"
    try:
        yield found
    finally:
        await runner.cleanup()


def refusal(status: int, body: Any, *, kind: str = "application/json") -> web.Response:
    text = body if isinstance(body, str) else json.dumps(body)
    return web.Response(text=text, status=status, content_type=kind)


def _missing() -> web.Response:
    body = {"type": "missing", "help": "nothing there\n", "error": "API endpoint not found"}
    return refusal(404, body)
