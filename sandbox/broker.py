"""
A RabbitMQ for the sandbox: given, private, in a container, or installed first.

The first that can be had is taken, in this order; `Broker.how` says which. Read
`broker_node` for the private node, `broker_container` for the container.
"""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from sandbox import apt, broker_container, broker_node
from sandbox.errors import MissingError
from sandbox.progress import Say, to_stderr


class Server(Protocol):
    """What tests may do to a broker that is ours."""

    async def kill(self) -> None:
        """End it as a power failure would."""

    async def stop(self) -> None:
        """End it in good order."""

    async def start(self) -> None:
        """Start it again with the same ports and data, and wait until it serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where the broker is, and who may do everything there."""

    amqp_url: str
    management_url: str
    prometheus_url: str
    username: str
    password: str
    how: str
    server: Server | None  # None: somebody gave it to us

    async def kill(self) -> None:
        """End it as a power failure would (SIGKILL)."""
        await self._ours().kill()

    async def stop(self) -> None:
        """End it in good order; this takes 6 s."""
        await self._ours().stop()

    async def start(self) -> None:
        """Start it again where it was, with what it has kept."""
        await self._ours().start()

    def _ours(self) -> Server:
        if self.server is None:
            raise MissingError("the broker at AMQP_URL is not ours to stop; unset AMQP_URL")
        return self.server


@asynccontextmanager
async def rabbitmq(
    directory: Path, *, say: Say = to_stderr, statistics: float = broker_node.STATISTICS
) -> AsyncIterator[Broker]:
    """
    Run a broker with all its files in *directory* for the length of the block.

    A node of our own looks every *statistics* seconds at all it has, for its management page.

    Raises:
        MissingError: none can be had; the text names the four ways to one.
    """
    if url := os.environ.get("AMQP_URL"):
        yield _given(url)
        return
    if broker_node.find_server() is None and not await broker_container.is_possible():
        await _install(say)
    if (script := broker_node.find_server()) is not None:
        async with broker_node.running(script, directory, say=say, statistics=statistics) as node:
            yield _ours(node, node.address, how=f"a private node of {script}")
    else:
        async with broker_container.running(say=say) as container:
            yield _ours(container, container.address, how=f"the image {broker_container.IMAGE}")


def _ours(server: Server, address: broker_node.Address, *, how: str) -> Broker:
    return Broker(
        amqp_url=f"amqp://{address.username}:{address.password}@127.0.0.1:{address.amqp}/",
        management_url=f"http://127.0.0.1:{address.management}",
        prometheus_url=f"http://127.0.0.1:{address.prometheus}/metrics",
        username=address.username,
        password=address.password,
        how=how,
        server=server,
    )


def _given(url: str) -> Broker:
    parts = urlsplit(url)
    host = parts.hostname or "localhost"
    return Broker(
        amqp_url=url,
        management_url=os.environ.get("RABBITMQ_MANAGEMENT_URL", f"http://{host}:15672"),
        prometheus_url=f"http://{host}:15692/metrics",
        username=unquote(parts.username or "guest"),
        password=unquote(parts.password or "guest"),
        how="the one given by AMQP_URL",
        server=None,
    )


async def _install(say: Say) -> None:
    if not apt.is_allowed():
        docker = "Docker does not run" if shutil.which("docker") else "there is no Docker"
        raise MissingError(
            "no RabbitMQ: AMQP_URL is not set, rabbitmq-server is not installed, "
            f"{docker}, and only root may install. Do one of these: set AMQP_URL, run "
            "`sudo apt-get install rabbitmq-server`, start Docker, or run this as root."
        )
    await apt.install("rabbitmq-server", why="Flux's processes meet on a broker", say=say)
