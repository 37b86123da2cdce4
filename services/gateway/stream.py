"""
Passes the log on to whoever listens, as server-sent events (`/api/v1/events`).

The log is read once for all of them. Who is too slow, and whoever listens when the gateway stops,
is let go: a client connects again by itself.
"""

import asyncio
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Literal

from aiohttp import web

from shared.contract import Envelope
from shared.contract.codec import encode

WAITING = 1_000
"""Events that may wait for one listener."""
KEEP_ALIVE = 15.0
"""Seconds of silence after which a comment is sent: it shows who is gone."""

Told = tuple[str, bytes]
"""The type of an event, and its text."""


class Listeners:
    """Those who listen now, each with a queue."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[Told | None]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._queues)

    def tell(self, offset: int, envelope: Envelope) -> None:
        """Pass an event on."""
        if not self._queues:
            return
        told = (envelope.type, _text(offset, envelope))
        for queue in tuple(self._queues):
            if queue.qsize() >= WAITING:
                self._end(queue)
            else:
                queue.put_nowait(told)

    def close(self) -> None:
        """Let everybody go, for good."""
        self._closed = True
        for queue in tuple(self._queues):
            self._end(queue)

    @contextmanager
    def listening(self) -> Iterator[asyncio.Queue[Told | None]]:
        """Yield a queue of what happens from now on; None is its end."""
        queue: asyncio.Queue[Told | None] = asyncio.Queue()
        self._queues.add(queue)
        if self._closed:
            self._end(queue)
        try:
            yield queue
        finally:
            self._queues.discard(queue)

    def _end(self, queue: asyncio.Queue[Told | None]) -> None:
        self._queues.discard(queue)
        queue.put_nowait(None)


async def send(
    request: web.Request, listeners: Listeners, wanted: Collection[str]
) -> web.StreamResponse:
    """Send what happens from now on, of the types *wanted* or all, until one of both ends it."""
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
    response = web.StreamResponse(headers=headers)
    with listeners.listening() as queue:
        try:
            await response.prepare(request)
            while (told := await _next(queue)) is not None:
                kind, text = told
                if not wanted or not kind or kind in wanted:
                    await response.write(text)
        except ConnectionResetError:
            return response  # the client has gone
    return response


async def _next(queue: asyncio.Queue[Told | None]) -> Told | None:
    try:
        async with asyncio.timeout(KEEP_ALIVE):
            return await queue.get()
    except TimeoutError:
        return _SILENCE


_SILENCE: tuple[Literal[""], bytes] = ("", b": nothing new\n\n")


def _text(offset: int, envelope: Envelope) -> bytes:
    headers, body = encode(envelope)
    data = {key.removeprefix("cloudEvents:"): value for key, value in headers.items()}
    text = json.dumps({**data, "data": json.loads(body)})
    return f"id: {offset}\nevent: {envelope.type}\ndata: {text}\n\n".encode()
