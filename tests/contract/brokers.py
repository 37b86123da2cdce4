"""Both brokers of the contract suite, with what a test needs beside the bus itself."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import aio_pika
import aiohttp
from yarl import URL

from sandbox.broker import Broker
from sandbox.virtual_host import service_urls, virtual_host
from shared.bus import names, rabbit
from shared.bus.client import Client
from shared.bus.grants import speaker
from shared.bus.layout import topology
from shared.bus.memory import MemoryBroker
from shared.bus.port import Pace
from shared.bus.topology import declare
from shared.bus.transport import Packet
from shared.contract.registry import SERVICES

SYNCS = [("default", "apps")]


class BrokerUnderTest(Protocol):
    def connect(
        self, source: str, *, pace: Pace | None = None
    ) -> AbstractAsyncContextManager[Client]: ...

    async def inject(
        self,
        exchange: str,
        key: str,
        headers: Mapping[str, object],
        body: bytes,
        *,
        content_type: str | None = None,
        service: str | None = None,
        is_named: bool = True,
    ) -> None: ...

    async def wait_dead(self, count: int) -> list[dict]: ...

    async def lose_channel(self, queue: str) -> None: ...

    async def depth(self, queue: str) -> int: ...


class Memory:
    def __init__(self) -> None:
        self._broker = MemoryBroker(SYNCS)

    def connect(
        self, source: str, *, pace: Pace | None = None
    ) -> AbstractAsyncContextManager[Client]:
        return self._broker.connect(source, pace=pace)

    async def inject(
        self,
        exchange: str,
        key: str,
        headers: Mapping[str, object],
        body: bytes,
        *,
        content_type: str | None = None,
        service: str | None = None,
        is_named: bool = True,
    ) -> None:
        packet = Packet(
            exchange=exchange,
            key=key,
            id="x",
            headers=headers,
            body=body,
            user=(service or "test") if is_named else None,
            content_type=content_type or "application/json",
        )
        self._broker.route(packet)

    async def wait_dead(self, count: int) -> list[dict]:
        dead = self._broker.queues[names.DEAD].ready
        while len(dead) < count:
            await asyncio.sleep(0.01)
        return [dict(packet.headers) for packet in dead]

    async def lose_channel(self, queue: str) -> None:
        self._broker.drop_channels(queue)

    async def depth(self, queue: str) -> int:
        place = self._broker.queues[queue]
        return len(place.ready) + len(place.active.held if place.active else [])


class Rabbit:
    """One virtual host of a real broker; who connects as a service has its user, too."""

    def __init__(self, amqp_url: str, management_url: str, urls: Mapping[str, str]) -> None:
        self._amqp_url = amqp_url
        self._urls = urls
        self._management_url = management_url

    def connect(
        self, source: str, *, pace: Pace | None = None
    ) -> AbstractAsyncContextManager[Client]:
        url = self._urls.get(speaker(source), self._amqp_url)
        return rabbit.connect(url, source=source, pace=pace)

    async def inject(
        self,
        exchange: str,
        key: str,
        headers: Mapping[str, object],
        body: bytes,
        *,
        content_type: str | None = None,
        service: str | None = None,
        is_named: bool = True,
    ) -> None:
        """Publish anything, by the user of *service* or the administrator, who is named or not."""
        url = self._urls.get(service or "", self._amqp_url)
        user = URL(url).user if is_named else None
        message = aio_pika.Message(body, headers=headers, content_type=content_type, user_id=user)
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            place = await channel.get_exchange(exchange, ensure=False)
            await place.publish(message, key)

    async def wait_dead(self, count: int) -> list[dict]:
        async with await aio_pika.connect(self._amqp_url) as connection:
            channel = await connection.channel()
            await channel.set_qos(100)
            queue = await channel.get_queue(names.DEAD, ensure=False)
            letters: asyncio.Queue = asyncio.Queue()
            await queue.consume(letters.put)
            return [dict((await letters.get()).headers) for _ in range(count)]

    async def lose_channel(self, queue: str) -> None:
        """Close the connection that consumes *queue*, as an operator would."""
        # Until its statistics know the channel, the page has no details of it.
        for consumer in await self._get(
            "consumers", lambda one: one["queue"]["name"] == queue and bool(one["channel_details"])
        ):
            name = consumer["channel_details"]["connection_name"]
            url = URL(f"{self._management_url}/api/connections") / name
            async with aiohttp.ClientSession(headers=self._headers()) as session:
                await session.delete(url)

    async def depth(self, queue: str) -> int:
        async with await aio_pika.connect(self._amqp_url) as connection:
            channel = await connection.channel()
            found = await channel.get_queue(queue)
            return found.declaration_result.message_count or 0

    def _headers(self) -> dict[str, str]:
        url = URL(self._amqp_url)
        return {"Authorization": aiohttp.encode_basic_auth(url.user or "", url.password or "")}

    async def _get(self, what: str, wanted: Callable[[dict], bool]) -> list[dict]:
        """Ask until the management page's statistics, some seconds old, show what is wanted."""
        async with aiohttp.ClientSession(headers=self._headers()) as session:
            while True:
                async with session.get(f"{self._management_url}/api/{what}") as answer:
                    found = [item for item in await answer.json() if wanted(item)]
                if found:
                    return found
                await asyncio.sleep(0.2)


@asynccontextmanager
async def declared_on(node: Broker) -> AsyncIterator[Rabbit]:
    """Declare the topology on a virtual host of its own."""
    async with virtual_host(node, "test") as url:
        urls = service_urls(url, SERVICES)
        await declare(
            topology(SYNCS), amqp_url=url, management_url=node.management_url, service_urls=urls
        )
        yield Rabbit(url, node.management_url, urls)
