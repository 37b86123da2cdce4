"""
RabbitMQ from its public image, where Docker runs and RabbitMQ is not installed.

Docker publishes the ports on loopback; the container goes with the block that started it.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

from sandbox import process
from sandbox.broker_node import Address, serves
from sandbox.errors import SandboxError
from sandbox.progress import Say

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

IMAGE = "rabbitmq:4-management"
_AMQP_HELLO = b"AMQP\x00\x00\x09\x01"
_START_TIMEOUT = 120.0  # seconds


async def is_possible() -> bool:
    """Tell whether Docker runs here."""
    if shutil.which("docker") is None:
        return False
    try:
        await process.run(["docker", "version"])
    except SandboxError:
        return False
    return True


@asynccontextmanager
async def running(*, say: Say) -> AsyncIterator["Container"]:
    """Run the image for the length of the block."""
    say(f"starting RabbitMQ from the image {IMAGE}; Docker pulls it if it is not there")
    container = Container()
    creating = asyncio.ensure_future(asyncio.to_thread(container.create))
    try:
        await asyncio.shield(creating)
        await container.wait_ready()
        yield container
    finally:
        await asyncio.wait({creating})  # a thread cannot be cut short, and would leave a container
        await asyncio.to_thread(container.remove)


class Container:
    """The container: stopped, started and killed at will, with the same ports and data."""

    def __init__(self) -> None:
        self.address = Address()
        self._container = _container(self.address)

    def create(self) -> None:
        """Create and start it; Docker may have to pull the image first."""
        self._container.start()

    async def start(self) -> None:
        """Start it again, and wait until it serves."""
        await asyncio.to_thread(self._container.get_wrapped_container().start)
        await self.wait_ready()

    async def stop(self) -> None:
        """Ask it to stop, which it does in good order."""
        await asyncio.to_thread(self._container.get_wrapped_container().stop)

    async def kill(self) -> None:
        """End it as a power failure would."""
        await asyncio.to_thread(self._container.get_wrapped_container().kill)

    def remove(self) -> None:
        """Remove it with its data."""
        self._container.stop(force=True, delete_volume=True)

    async def wait_ready(self) -> None:
        """
        Wait until it takes connections and knows its administrator.

        Raises:
            SandboxError: it does not in time.
        """
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                while not await self._is_ready():
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise SandboxError(
                f"RabbitMQ from {IMAGE} is not ready after {_START_TIMEOUT:.0f} s: "
                "see `docker logs` of its container"
            ) from None

    async def _is_ready(self) -> bool:
        return await process.greets(self.address.amqp, _AMQP_HELLO, b"\x01") and await serves(
            self.address
        )


def _container(address: Address) -> "DockerContainer":
    # Read at import: its own cleaner is another image, and we clean up ourselves.
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    try:
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415 -- see above
    except ImportError:
        raise SandboxError(
            "Docker runs, but the Python package testcontainers is not installed: "
            "install this project with its extra `dev`, or install rabbitmq-server"
        ) from None
    container = DockerContainer(IMAGE)
    container.with_env("RABBITMQ_DEFAULT_USER", address.username)
    container.with_env("RABBITMQ_DEFAULT_PASS", address.password)
    published = {5672: address.amqp, 15672: address.management, 15692: address.prometheus}
    # Docker takes (address, port), though the annotation knows the port alone, on all addresses.
    container.ports = cast(
        "dict[str, int | None]",
        {f"{inside}/tcp": ("127.0.0.1", outside) for inside, outside in published.items()},
    )
    return container
