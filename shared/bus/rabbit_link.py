"""One connection to RabbitMQ that is opened again, with jitter, whenever it is lost."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import aio_pika
import aiormq.exceptions
import structlog
from aio_pika.abc import AbstractConnection
from yarl import URL

from shared.runtime.tasks import not_cancelled_by_others, owned

logger = structlog.get_logger(__name__)

BROKEN = (
    aiormq.exceptions.AMQPError,
    aio_pika.exceptions.ChannelInvalidStateError,
    ConnectionError,
    RuntimeError,  # aiormq: "writer is closed", "Connection closed"
    OSError,
)
"""What a lost connection or channel raises, depending on the moment."""

HEARTBEAT = 5
"""Seconds; a silent broker is missed after some three of them."""
CONNECT_TIMEOUT = 10.0


@contextmanager
def lost_in_a_call() -> Iterator[None]:
    """
    Raise ConnectionError for whatever aiormq does to those who wait when its connection ends.

    Where it ends without an error of its own, it cancels them, or raises a bare Exception.
    """
    try:
        with not_cancelled_by_others(ConnectionError):
            yield
    except Exception as error:
        if type(error) is not Exception:
            raise
        raise ConnectionError("the connection was lost") from error


class Link:
    """Keeps one connection open."""

    def __init__(self, url: str, name: str, *, tells: bool) -> None:
        self._tells = tells
        self._name = name
        self._urls = deque(nodes(url))
        self.is_cluster = len(self._urls) > 1
        self._connection: AbstractConnection | None = None
        self._open = asyncio.Event()
        self.problem = "not connected yet"

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, name: str, *, tells: bool) -> AsyncIterator["Link"]:
        """
        Keep a connection to *url* open; *name* is shown on the management page.

        Several addresses, with commas between, are the nodes of a cluster: the next one is tried
        where one does not answer.

        Of the links of a process one *tells* when the broker goes and when it is back.
        """
        link = cls(url, name, tells=tells)
        async with owned(link._keep(), f"broker {name}"):
            yield link

    async def connection(self) -> AbstractConnection:
        """Wait until the connection is open, and return it."""
        while self._connection is None or self._connection.is_closed:
            self._open.clear()
            await self._open.wait()
        return self._connection

    def current(self) -> AbstractConnection:
        """
        Return the connection.

        Raises:
            ConnectionError: it is not open now; nobody waits for it here.
        """
        if self._connection is None or self._connection.is_closed:
            raise ConnectionError(self.problem or "connection lost")
        return self._connection

    async def wait_changed(self, error: BaseException) -> None:
        """Wait a moment after *error*, then until the connection is open."""
        logger.debug("broker call failed", error=str(error))
        await asyncio.sleep(_jitter(0.05))
        await self.connection()

    async def _keep(self) -> None:
        delay = 0.1
        while True:
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    with lost_in_a_call():
                        connection = await aio_pika.connect(self._address())
            except (*BROKEN, TimeoutError) as error:
                self._tell_down(str(error) or type(error).__name__)
                self._urls.rotate(-1)
                await asyncio.sleep(_jitter(delay))
                delay = min(delay * 2, 5.0)
                continue
            delay = 0.1
            await self._hold(connection)

    async def _hold(self, connection: AbstractConnection) -> None:
        lost = asyncio.Event()
        connection.close_callbacks.add(lambda *_: lost.set())
        if self._tells and self.problem and self.problem != "not connected yet":
            logger.info("broker up", connection=self._name, host=self._urls[0].host)
        self.problem = ""
        self._connection = connection
        self._open.set()
        try:
            await lost.wait()
            self._tell_down("connection lost")
        finally:
            with suppress(*BROKEN), lost_in_a_call():
                await connection.close()

    def _tell_down(self, reason: str) -> None:
        if self._tells and (not self.problem or self.problem == "not connected yet"):
            logger.warning("broker down", reason=reason, host=self._urls[0].host)
        self.problem = reason

    def _address(self) -> URL:
        return self._urls[0].update_query(heartbeat=HEARTBEAT, name=self._name)


def nodes(url: str) -> list[URL]:
    """Return the addresses in *url*, of which there is at least one."""
    return [URL(one.strip()) for one in url.split(",") if one.strip()]


def _jitter(seconds: float) -> float:
    return seconds * random.uniform(0.5, 1.5)  # noqa: S311 - jitter is no secret
