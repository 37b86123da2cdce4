"""What can happen to a request on its way through `api_proxy`."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

from sandbox.api_proxy import Act, ApiProxy, begun


def answers(status: int, message: str = "in a mood", *, retry_after: int | None = None) -> Act:
    """Answer a status of Kubernetes; the server is not asked."""

    async def act(_: web.Request, __: ApiProxy) -> web.StreamResponse:
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        body = {"kind": "Status", "status": "Failure", "message": message, "code": status}
        return web.json_response(body, status=status, headers=headers)

    return act


def late(seconds: float) -> Act:
    """Let it wait, then pass it on."""

    async def act(request: web.Request, api: ApiProxy) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await api.passed(request)

    return act


def paged(limit: int) -> Act:
    """Pass a list on in pages of *limit*."""

    async def act(request: web.Request, api: ApiProxy) -> web.StreamResponse:
        return await api.passed(request, limit=str(limit))

    return act


async def resets(request: web.Request, _: ApiProxy) -> web.StreamResponse:
    """Break the connection; the server is not asked."""
    return _broken(request)


async def loses_the_answer(request: web.Request, api: ApiProxy) -> web.StreamResponse:
    """Ask the server, and break the connection instead of telling what it said."""
    async with api.asking(request) as answer:
        await answer.read()
    return _broken(request)


async def gives_garbage(_: web.Request, __: ApiProxy) -> web.StreamResponse:
    """Answer well what is no JSON; the server is not asked."""
    return web.Response(body=b"<html>\xff\xfe welcome", content_type="text/html")


async def gives_half(request: web.Request, api: ApiProxy) -> web.StreamResponse:
    """Ask the server, and break the connection in the middle of its answer."""
    async with api.asking(request) as answer:
        body = await answer.read()
        response = web.StreamResponse(status=answer.status)
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
    return _broken(request)


def watch_cut(events: int, *last: bytes) -> Act:
    """Pass on so many *events* of a watch, then these *last* lines, and break the connection."""

    async def act(request: web.Request, api: ApiProxy) -> web.StreamResponse:
        async with api.asking(request) as answer:
            response, count = await begun(request, answer), 0
            if events:
                async for line in _lines(answer):
                    await response.write(line)
                    count += 1
                    if count == events:
                        break
            for line in last:
                await response.write(line + b"\n")
        return _broken(request) if not last else response

    return act


EXPIRED = json.dumps(
    {
        "type": "ERROR",
        "object": {
            "kind": "Status",
            "status": "Failure",
            "reason": "Expired",
            "message": "too old resource version",
            "code": 410,
        },
    }
).encode()
"""The last line of a watch whose version the server has forgotten."""


async def without_bookmarks(request: web.Request, api: ApiProxy) -> web.StreamResponse:
    """Pass a watch on without its bookmarks."""
    async with api.asking(request) as answer:
        response = await begun(request, answer)
        async for line in _lines(answer):
            if not line.startswith(b'{"type":"BOOKMARK"'):
                await response.write(line)
    return response


async def _lines(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    while line := await answer.content.readline():
        yield line


def _broken(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
