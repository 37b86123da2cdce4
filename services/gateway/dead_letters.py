"""
Dead letters for people: looked at, given to their own queue once more, or dropped.

`GET /api/v1/dead-letters` lists those that fit all filters: `id`, `type`, `queue`, `subject` as a
whole, `reason` in part. `POST .../replay` and `.../drop` do it to them; they want at least one
filter, or `all=true`: nobody should empty the queue by a slip.
"""

import base64
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from aiohttp import web

from services.gateway.alarm import Alarm
from services.gateway.domain.errors import bad_request, unavailable
from shared.bus.letters import Letter
from shared.runtime.errors import TemporaryError

PATH = "/api/v1/dead-letters"
FILTERS = ("id", "type", "queue", "subject", "reason")
HINT = "Flux-Dead-Letters"
SHOWN = 64_000
"""Bytes of a body that are shown."""


class Graves(Protocol):
    """The part of the bus that is needed here."""

    def dead_letters(self, limit: int = 1_000) -> AbstractAsyncContextManager[Sequence[Letter]]:
        """Hold the oldest dead letters for the length of the block."""

    async def replay(self, dead: Letter, *, by: str) -> None:
        """Give one to its own queue once more."""


class DeadLetters:
    """The routes."""

    def __init__(self, graves: Graves, alarm: Alarm) -> None:
        self._graves = graves
        self._alarm = alarm

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
        filters = _filters(request)
        return web.json_response(await self._each(filters, _nothing))

    async def _replay(self, request: web.Request) -> web.Response:
        by = request.query.get("by", "")

        async def again(letter: Letter) -> None:
            await self._graves.replay(letter, by=by)

        return web.json_response(await self._each(_some(request), again))

    async def _drop(self, request: web.Request) -> web.Response:
        return web.json_response(await self._each(_some(request), Letter.drop))

    async def _each(
        self, filters: Mapping[str, str], work: Callable[[Letter], Awaitable[None]]
    ) -> list[Mapping[str, Any]]:
        """Do *work* with each letter that fits; return what they were."""
        done = []
        try:
            async with self._graves.dead_letters() as letters:
                for letter in letters:
                    if _fits(letter, filters):
                        await work(letter)
                        done.append(_shape(letter))
        except TemporaryError as error:
            raise unavailable(str(error)) from error
        return done


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


def _shape(letter: Letter) -> Mapping[str, Any]:
    names = (*FILTERS, "source", "correlation", "tries", "first", "buried", "trace")
    shape = {name: getattr(letter, name) for name in names}
    return {**shape, "size": len(letter.body), "data": _data(letter.body[:SHOWN])}


def _data(body: bytes) -> Any:
    """Return a body as JSON where it is some, else as text or base64."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return base64.b64encode(body).decode()
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


async def _nothing(_: Letter) -> None:
    pass
