"""
One route: a tar of files and what to run in them, for what the commands print or change.

The token keeps out whoever has no business here: a page in a browser, another user of a machine.
"""

import asyncio
import hmac
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import BinaryIO

import structlog
from aiohttp import BodyPartReader, web
from prometheus_client import Counter, Histogram
from pydantic import BaseModel, ValidationError

from services.renderer.orders import Orders
from services.renderer.programs import CommandError
from services.renderer.settings import Settings
from shared.rendering.protocol import LARGEST_TREE, ORDER, PATH, TREE, Order
from shared.runtime.errors import PermanentError

logger = structlog.get_logger(__name__)

CHUNK = 256 * 1024
LARGEST_ORDER = 2**20
SLACK = 16 * 2**20
"""Of a tar beside its files: headers, names, padding."""
LET_GO = 3.0
"""Seconds for orders under way to end when the renderer stops; who gave them asks again."""

ORDERS = Counter("flux_renderer_orders_total", "Orders carried out, or not", ["outcome"])
SECONDS = Histogram("flux_renderer_order_seconds", "Time of an order, without its waiting")


class Api:
    """Takes orders."""

    def __init__(self, settings: Settings, orders: Orders) -> None:
        self._settings = settings
        self._orders = orders

    async def run(self, request: web.Request) -> web.Response:
        """Carry out an order."""
        self._check(request)
        with tempfile.TemporaryFile() as tar:
            order = await _received(request, tar)
            tar.seek(0)
            try:
                async with self._orders.slot():
                    with SECONDS.time():
                        done: BaseModel = await self._orders.carry_out(order, tar)
            except CommandError as error:
                ORDERS.labels("failed").inc()
                logger.info("command failed", number=error.failed.number, reason=str(error))
                return _json(error.failed, status=422)
        ORDERS.labels("done").inc()
        return _json(done)

    def _check(self, request: web.Request) -> None:
        said = request.headers.get("Authorization", "")
        wanted = f"Bearer {self._settings.token.read()}"
        if not hmac.compare_digest(said.encode(), wanted.encode()):
            raise web.HTTPUnauthorized(text="renderer.token is needed\n")


async def _received(request: web.Request, tar: BinaryIO) -> Order:
    """Return the order, and write its files to *tar*."""
    form = await request.multipart()
    order, part = await form.next(), None
    if isinstance(order, BodyPartReader) and order.name == ORDER:
        text = bytes(await order.read_chunk(LARGEST_ORDER))
        part = await form.next()
        if isinstance(part, BodyPartReader) and part.name == TREE:
            await _copied(part, tar)
            return _order(text)
    raise web.HTTPBadRequest(text=f"a form with the parts {ORDER} and {TREE} is expected\n")


async def _copied(part: BodyPartReader, tar: BinaryIO) -> None:
    size = 0
    while chunk := await part.read_chunk(CHUNK):
        size += len(chunk)
        if size > LARGEST_TREE + SLACK:
            raise web.HTTPRequestEntityTooLarge(LARGEST_TREE, size)
        await asyncio.to_thread(tar.write, chunk)


def _order(text: bytes) -> Order:
    try:
        return Order.model_validate_json(text)
    except ValidationError as error:
        raise web.HTTPBadRequest(text=f"{error}\n") from error


def _json(message: BaseModel, status: int = 200) -> web.Response:
    return web.Response(
        text=message.model_dump_json(), status=status, content_type="application/json"
    )


@asynccontextmanager
async def serving(api: Api, settings: Settings) -> AsyncIterator[str]:
    """
    Serve for the length of the block; yield the address.

    Raises:
        PermanentError: the address can't be listened on.
    """
    app = web.Application(client_max_size=LARGEST_TREE + SLACK)
    app.router.add_post(PATH, api.run)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=LET_GO)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, settings.host, settings.port).start()
        except OSError as error:
            address = f"{settings.host}:{settings.port}"
            raise PermanentError(
                f"renderer.listen {address}: {error.strerror}; choose another address"
            ) from error
        yield f"http://{settings.host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
