"""
What may go wrong between a registry and who asks it: give one to `OciRegistry.fail`.

Each is a function from a request, and from what the registry would do, to an answer.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

Fault = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]


def status(code: int, **headers: str) -> Fault:
    """Answer with *code*; of a header's name underscores become hyphens."""

    async def answer(_: web.Request, __: Handler) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        errors = [{"code": "PLAYED", "message": "played by the sandbox"}]
        return web.json_response({"errors": errors}, status=code, headers=named)

    return answer


def says(body: object, *, content_type: str = "application/json") -> Fault:
    """Answer 200 with *body*: bytes as they are, anything else as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def answer(_: web.Request, __: Handler) -> web.StreamResponse:
        return web.Response(body=data, content_type=content_type)

    return answer


def slow(seconds: float) -> Fault:
    """Answer well, but late."""

    async def answer(request: web.Request, go_on: Handler) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await go_on(request)

    return answer


def hangs() -> Fault:
    """Take the request, and never answer."""

    async def answer(_: web.Request, __: Handler) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    return answer


def cut() -> Fault:
    """Close the connection instead of an answer."""

    async def answer(request: web.Request, __: Handler) -> web.StreamResponse:
        _close(request)
        return web.Response()

    return answer


def truncated(*, stalls: bool = False) -> Fault:
    """Send half of the body, then close the connection; or leave it open if it *stalls*."""

    async def answer(request: web.Request, go_on: Handler) -> web.StreamResponse:
        whole = await go_on(request)
        assert isinstance(whole, web.Response)
        assert isinstance(whole.body, bytes)
        part = web.StreamResponse(headers=whole.headers)
        part.content_length = len(whole.body)
        await part.prepare(request)
        await part.write(whole.body[: len(whole.body) // 2])
        if stalls:
            await asyncio.Event().wait()
        _close(request)
        return part

    return answer


def headers(changes: Mapping[str, str | None]) -> Fault:
    """Answer well, but with other headers; None takes one away."""

    async def answer(request: web.Request, go_on: Handler) -> web.StreamResponse:
        whole = await go_on(request)
        for name, value in changes.items():
            whole.headers.pop(name, None)
            if value is not None:
                whole.headers[name] = value
        return whole

    return answer


def redirects(base: str) -> Fault:
    """Send the client to the same path at *base*."""

    async def answer(request: web.Request, _: Handler) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": f"{base}{request.path_qs}"})

    return answer


def _close(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()
