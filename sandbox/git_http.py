"""
The HTTP door of the git host: ``git http-backend`` behind a small aiohttp application.

It checks who asks, notes what was asked, and plays an outage where a test wants one. All that
is about git itself is left to git.
"""

import asyncio
import base64
import binascii
import hmac
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox.git_env import quiet
from sandbox.process import signal_to

_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request that was answered."""

    method: str
    path: str  # with the query
    status: int


class Door:
    """Who gets in, what was asked, and whether there is an outage."""

    def __init__(
        self, root: Path, *, username: str, password: str, token: str, open_to_all: bool = False
    ) -> None:
        self.root = root
        self.username = username
        self.requests: list[Request] = []
        self._password = password
        self._token = token
        self._open_to_all = open_to_all
        self._status: int | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()

    def fail(self, status: int) -> None:
        """Answer with *status* from now on."""
        self._status = status
        self._flowing.set()

    def hold(self) -> None:
        """Give no answer from now on."""
        self._flowing.clear()

    def resume(self) -> None:
        """Serve again, also what was held."""
        self._status = None
        self._flowing.set()

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Hold, refuse or serve *request*."""
        await self._flowing.wait()
        if self._status is not None:
            return web.Response(status=self._status, text="an outage, played by the sandbox\n")
        if not self._lets_in(request):
            challenge = {"WWW-Authenticate": 'Basic realm="git"'}
            return web.Response(status=401, text="who are you?\n", headers=challenge)
        return await handler(request)

    async def note(self, request: web.Request, response: web.StreamResponse) -> None:
        """Note what comes of *request*, before the client can know it."""
        self.requests.append(
            Request(method=request.method, path=request.path_qs, status=response.status)
        )

    def _lets_in(self, request: web.Request) -> bool:
        if self._open_to_all:
            return True
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return _same(value.strip(), self._token)
        if scheme.lower() != "basic":
            return False
        try:
            username, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        # Hosts take a token with any name; a password only with its own.
        known = _same(username, self.username) and _same(password, self._password)
        return known or _same(password, self._token)


@asynccontextmanager
async def serving(door: Door) -> AsyncIterator[str]:
    """Serve *door* on a free port of loopback; the value is its address."""
    # No limit: what is pushed may be large, and is passed on as it comes.
    app = web.Application(middlewares=[door.guard], client_max_size=0)
    app.on_response_prepare.append(door.note)
    app.router.add_route("*", "/{path:.*}", _Backend(door).handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        door.resume()
        await runner.cleanup()


class _Backend:
    """Runs ``git http-backend`` once for each request, by the rules of CGI."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def handle(self, request: web.Request) -> web.StreamResponse:
        process = await asyncio.create_subprocess_exec(
            "git",
            "http-backend",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._environment(request),
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_feed(request, process.stdin))
                response = await _answer(request, process.stdout)
        finally:
            if not process.stdout.at_eof():  # the client went away
                signal_to(process, signal.SIGKILL)
            await process.wait()
        return response

    def _environment(self, request: web.Request) -> dict[str, str]:
        # Neither the length nor the encoding of the body is passed on: aiohttp has unpacked it,
        # and git reads to its end.
        environment = quiet() | {
            "GIT_PROJECT_ROOT": str(self._door.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": request.method,
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query_string,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "REMOTE_USER": self._door.username,
            "REMOTE_ADDR": request.remote or "",
        }
        if protocol := request.headers.get("Git-Protocol"):
            environment["GIT_PROTOCOL"] = protocol
        return environment


async def _feed(request: web.Request, stdin: asyncio.StreamWriter) -> None:
    # git may end without reading all of it, for instance when it refuses a push.
    with suppress(BrokenPipeError, ConnectionResetError):
        async for chunk in request.content.iter_chunked(_CHUNK):
            stdin.write(chunk)
            await stdin.drain()
    stdin.close()


async def _answer(request: web.Request, stdout: asyncio.StreamReader) -> web.StreamResponse:
    response = web.StreamResponse(status=200)
    while line := (await stdout.readline()).strip():
        name, _, value = line.decode().partition(":")
        if name.lower() == "status":
            response.set_status(int(value.split()[0]))
        else:
            response.headers[name] = value.strip()
    # A client may leave early, and does where it has seen enough.
    with suppress(ConnectionResetError):
        await response.prepare(request)
        while chunk := await stdout.read(_CHUNK):
            await response.write(chunk)
        await response.write_eof()
    return response


def _same(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode(), known.encode())
