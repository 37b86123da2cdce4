"""Asks the renderer, over HTTP. It may be gone; then it is a dependency like any other."""

import asyncio
import io
from typing import Protocol

import aiohttp
from pydantic import ValidationError

from shared.config.renderer import Renderer as Settings
from shared.rendering.protocol import LARGEST_ANSWER, ORDER, PATH, TREE, Done, Failed, Order
from shared.runtime.errors import PermanentError, TemporaryError

NAME = "renderer"
"""As a dependency."""
CHUNK = 256 * 1024
WAITING = 120.0
"""Seconds that an order may wait for others, and for its own files."""


class FailedError(PermanentError):
    """A command failed, or what it made can't be taken."""

    def __init__(self, failed: Failed) -> None:
        said = f": {failed.stderr}" if failed.stderr else ""
        super().__init__(f"{failed.reason}{said}")
        self.number = failed.number


class Renderer(Protocol):
    """Runs programs on a tree."""

    async def run(self, order: Order, tree: bytes) -> Done:
        """
        Carry out *order* in the files of the tar *tree*.

        Raises:
            FailedError: a command failed.
            TemporaryError: the renderer is not there.
        """


class HttpRenderer:
    """The renderer at an address."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def run(self, order: Order, tree: bytes) -> Done:
        """Carry out *order* in the files of the tar *tree*."""
        patience = sum(run.timeout for run in order.runs) + WAITING
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=patience)) as session,
                session.post(
                    self._settings.url.rstrip("/") + PATH,
                    data=_form(order, tree),
                    headers={"Authorization": f"Bearer {_token(self._settings)}"},
                ) as answer,
            ):
                # In a thread: some megabytes of JSON take a tenth of a second.
                body = await _body(answer)
                return await asyncio.to_thread(_understood, answer.status, body)
        except (aiohttp.ClientError, OSError) as error:
            told = str(error) or type(error).__name__
            raise TemporaryError(NAME, f"{self._settings.url}: {told}") from error


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    """Read no more than an honest renderer says."""
    body = bytearray()
    async for chunk in answer.content.iter_chunked(CHUNK):
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise FailedError(Failed(reason=f"more than {LARGEST_ANSWER // 2**20} MB were printed"))
    return bytes(body)


def _form(order: Order, tree: bytes) -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field(ORDER, order.model_dump_json(), content_type="application/json")
    form.add_field(TREE, io.BytesIO(tree), filename="tree.tar", content_type="application/x-tar")
    return form


def _token(settings: Settings) -> str:
    try:
        return settings.token.read()
    except PermanentError as error:  # people can put it there, and the same work succeeds
        raise TemporaryError(NAME, f"renderer.token: {error}") from error


def _understood(status: int, body: bytes) -> Done:
    if status == 401:
        raise TemporaryError(NAME, "it refuses our token; renderer.token must be the same for all")
    try:
        if status == 200:
            return Done.model_validate_json(body)
        if status == 422:
            raise FailedError(Failed.model_validate_json(body))
    except ValidationError as error:
        raise TemporaryError(NAME, "it is of another version than we; update it") from error
    raise TemporaryError(NAME, f"it answers {status}")
