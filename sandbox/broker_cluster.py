"""
Three RabbitMQ nodes that are one broker: to see what happens when one of them dies.

Private nodes as in `broker_node`, found by each other through a list of names. Clients get the
addresses of all, with commas between.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from sandbox.broker_node import Address, Club, Node, epmd, node_name
from sandbox.errors import SandboxError
from sandbox.progress import Say, to_stderr

SIZE = 3
_TOGETHER = 120.0  # seconds; a quiet machine needs 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerCluster:
    """The nodes, and the one user that all know."""

    nodes: tuple[Node, ...]

    @property
    def amqp_url(self) -> str:
        """The addresses of all nodes."""
        return ",".join(
            f"amqp://{one.username}:{one.password}@127.0.0.1:{one.amqp}/"
            for one in (node.address for node in self.nodes)
        )

    def management_url(self, node: int = 0) -> str:
        """The management page of one node; it shows all of them."""
        return f"http://127.0.0.1:{self.nodes[node].address.management}"

    async def running(self, asked: int = 0) -> int:
        """Return how many nodes the node *asked* sees running."""
        found = await self._get(asked, "nodes")
        return sum(bool(node.get("running")) for node in found)

    async def leader(self, queue: str, asked: int = 0) -> int:
        """
        Return the number of the node that leads *queue* (of the virtual host `/`).

        Raises:
            SandboxError: the page did not learn it.
        """
        names = [node_name(node.address) for node in self.nodes]
        try:
            async with asyncio.timeout(_TOGETHER):
                while (name := await self._leader(queue, asked)) not in names:
                    await asyncio.sleep(0.2)
        except TimeoutError as error:
            raise SandboxError(f"no node of the cluster leads {queue}") from error
        return names.index(name)

    async def _leader(self, queue: str, asked: int) -> str:
        """Return the name of the node that leads; what was just declared is led by `undefined`."""
        found = await self._get(asked, f"queues/%2F/{queue}")
        return str(found.get("leader") or found["node"])

    async def wait_together(self, asked: int = 0) -> None:
        """
        Wait until all nodes are one.

        Raises:
            SandboxError: they did not become so.
        """
        try:
            async with asyncio.timeout(_TOGETHER):
                while await self.running(asked) < SIZE:
                    await asyncio.sleep(0.2)
        except TimeoutError as error:
            raise SandboxError(f"{SIZE} RabbitMQ nodes did not find each other") from error

    async def _get(self, asked: int, what: str) -> Any:
        address = self.nodes[asked].address
        login = aiohttp.encode_basic_auth(address.username, address.password)
        url = f"{self.management_url(asked)}/api/{what}"
        async with (
            aiohttp.ClientSession(headers={"Authorization": login}) as session,
            session.get(URL(url, encoded=True)) as answer,
        ):
            return await answer.json()


@asynccontextmanager
async def broker_cluster(
    script: Path, directory: Path, *, say: Say = to_stderr
) -> AsyncIterator[BrokerCluster]:
    """Run three nodes with all their files in *directory* for the length of the block."""
    password = Address().password
    addresses = [Address(password=password) for _ in range(SIZE)]
    club = Club(names=tuple(node_name(address) for address in addresses))
    nodes = tuple(
        Node(script, directory / f"node-{n}", address=address, club=club)
        for n, address in enumerate(addresses)
    )
    async with AsyncExitStack() as stack:
        say(f"starting {SIZE} RabbitMQ nodes of {script}")
        await stack.enter_async_context(epmd(club.epmd, directory))
        for node in nodes:
            stack.push_async_callback(node.kill)
        await asyncio.gather(*(node.start() for node in nodes))
        cluster = BrokerCluster(nodes=nodes)
        await cluster.wait_together()
        yield cluster
