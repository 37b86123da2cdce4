"""
What is answered when something goes wrong: always JSON, in the form that Flux v1's clients show.

Success is JSON too; long lists are written item by item, so that others get their turn meanwhile.
"""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import structlog
from aiohttp import web

from services.gateway.domain.errors import ApiError, bug, not_found

logger = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

TURN = 0.01
"""Seconds that one answer may hold the event loop at a time."""


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error in the JSON form, bugs too."""
    try:
        return await handler(request)
    except ApiError as failed:
        return _answer(failed)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        return _elsewhere(request) or _answer(not_found(request.method, request.path))
    except web.HTTPException as failed:
        if failed.status < 400:
            raise
        return _answer(ApiError(failed.status, "user", failed.reason))
    except Exception:  # the one boundary where a bug must not become a page of plain text
        logger.exception("request failed", method=request.method, path=request.path)
        return _answer(bug())


async def array(items: Iterable[Any]) -> web.Response:
    """Return a JSON array of *items*, which are made and written one by one."""
    parts, since = [], time.monotonic()
    for item in items:
        parts.append(json.dumps(item))
        if time.monotonic() - since > TURN:
            await asyncio.sleep(0)
            since = time.monotonic()
    return web.Response(text=f"[{','.join(parts)}]", content_type="application/json")


def _answer(error: ApiError) -> web.Response:
    headers = {"WWW-Authenticate": 'Basic realm="flux"'} if error.status == 401 else {}
    return web.json_response(error.json(), status=error.status, headers=headers)


def _elsewhere(request: web.Request) -> web.Response | None:
    """Send clients on whose path has doubled slashes, as the original does; 308 keeps a body."""
    path, _, query = request.raw_path.partition("?")
    cleaned = "/api/flux/" if path == "/api/flux" else re.sub("//+", "/", path)
    if cleaned == path:
        return None
    status = 301 if request.method in {"GET", "HEAD"} else 308
    location = f"{cleaned}?{query}" if query else cleaned
    return web.Response(status=status, headers={"Location": location})
