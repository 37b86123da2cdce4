"""
Dead letters for people: looked at, given to their own queue once more, or dropped.

`GET /api/v1/dead-letters` lists the oldest thousand that fit all filters: `id`, `type`, `queue`,
`subject` as a whole, `reason` in part. `POST .../replay` and `.../drop` do it to all that fit; they
want at least one filter, or `all=true`: nobody should empty the queue by a slip. Why it could not
be done to a letter, which then stays, is its `error`.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import structlog
from aiohttp import web

from services.gateway.alarm import Alarm
from services.gateway.domain.errors import bad_request, unavailable
from shared.bus.letters import Letter
from shared.bus.transport import UnroutableError
from shared.config import secrets
from shared.runtime.errors import TemporaryError
from shared.runtime.masking import Masking

logger = structlog.get_logger(__name__)

PATH = "/api/v1/dead-letters"
FILTERS = ("id", "type", "queue", "subject", "reason")
HINT = "Flux-Dead-Letters"
SHOWN = 64_000
"""Bytes of a body that are shown."""
LISTED = 1_000
"""Letters that are listed at once."""


class Graves(Protocol):
    """The part of the bus that is needed here."""

    def dead_letters(self) -> AbstractAsyncContextManager[AsyncIterator[Letter]]:
        """Give those that there are, and hold them for the length of the block."""

    async def replay(self, dead: Letter, *, by: str) -> None:
        """Give one to its own queue once more."""


class DeadLetters:
    """The routes."""

    def __init__(self, graves: Graves, alarm: Alarm) -> None:
        self._graves = graves
        self._alarm = alarm
        self._mask = Masking(secrets.known)
        self._one_at_a_time = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """Return them."""
        return [
            web.get(PATH, self._list, allow_head=False),
            web.post(f"{PATH}/replay", self._replay),
            web.post(f"{PATH}/drop", self._drop),
        ]

    async def hint(self, _: web.Request, response: web.StreamResponse) -> None:
        """Tell with every answer how many there are; `fluxctl` shows it to people."""
        if self._alarm.count and response.status != 401:
            response.headers[HINT] = str(self._alarm.count)

    async def _list(self, request: web.Request) -> web.Response:
        filters, found = _filters(request), []
        async with self._held() as letters:
            async for letter in letters:
                if _fits(letter, filters):
                    found.append(self._whole(letter))
                if len(found) == LISTED:
                    break
        return web.json_response(found)

    async def _replay(self, request: web.Request) -> web.Response:
        by = request.query.get("by", "")

        async def again(letter: Letter) -> str:
            try:
                await self._graves.replay(letter, by=by)
            except UnroutableError:
                return f"there is no queue {letter.queue or 'that is known'!r} to give it to"
            return ""

        return await self._done(request, "replayed", again)

    async def _drop(self, request: web.Request) -> web.Response:
        async def drop(letter: Letter) -> str:
            await letter.drop()
            return ""

        return await self._done(request, "dropped", drop)

    async def _done(
        self, request: web.Request, what: str, work: Callable[[Letter], Awaitable[str]]
    ) -> web.Response:
        """Do *work* with each letter that fits; answer what they were, and what came of it."""
        filters, by = _some(request), request.query.get("by", "")
        async with self._held() as letters:
            done = [
                {**self._short(one), "error": await work(one)}
                async for one in letters
                if _fits(one, filters)
            ]
        count = sum(not one["error"] for one in done)
        logger.info("dead letters settled", done=what, count=count, by=by, fitting=filters)
        return web.json_response(done)

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[AsyncIterator[Letter]]:
        """Give the letters to one request at a time: what one holds another would not see."""
        async with self._one_at_a_time:
            try:
                with self._alarm.paused():
                    async with self._graves.dead_letters() as letters:
                        yield letters
            except TemporaryError as error:
                raise unavailable(str(error)) from error

    def _short(self, letter: Letter) -> dict[str, Any]:
        names = (*FILTERS, "source", "correlation", "tries", "first", "buried")
        return {name: self._mask(getattr(letter, name)) for name in names}

    def _whole(self, letter: Letter) -> dict[str, Any]:
        about = {"trace": self._mask(letter.trace), "size": len(letter.body)}
        return {**self._short(letter), **about, "data": self._data(letter.body[:SHOWN])}

    def _data(self, body: bytes) -> Any:
        """Return a body as JSON where it is some, else as text or base64."""
        try:
            text = self._mask(body.decode())
        except UnicodeDecodeError:
            return base64.b64encode(body).decode()
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text


def _filters(request: web.Request) -> Mapping[str, str]:
    unknown = set(request.query) - {*FILTERS, "all", "by"}
    if unknown:
        raise bad_request(f"unknown filter {min(unknown)!r}; there are {', '.join(FILTERS)}")
    return {name: request.query[name] for name in FILTERS if request.query.get(name)}


def _some(request: web.Request) -> Mapping[str, str]:
    filters = _filters(request)
    if not filters and request.query.get("all") != "true":
        raise bad_request(f"name at least one of {', '.join(FILTERS)}, or all=true")
    return filters


def _fits(letter: Letter, filters: Mapping[str, str]) -> bool:
    return all(
        wanted in letter.reason if name == "reason" else wanted == getattr(letter, name)
        for name, wanted in filters.items()
    )
