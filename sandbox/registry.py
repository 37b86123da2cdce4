"""
A registry for the sandbox: Debian's docker-registry, or our own where that can't be had.

Read `docker_registry` for the one, `oci_registry` for the other, which can also misbehave.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from sandbox.docker_registry import can_be_had, docker_registry
from sandbox.oci_registry import Basic, oci_registry
from sandbox.progress import Say, to_stderr


class Registry(Protocol):
    """Where images are pushed to and read from."""

    @property
    def host(self) -> str:
        """Its address, as it stands in the name of an image."""

    @property
    def how(self) -> str:
        """Which one it is, for people."""

    async def stop(self) -> None:
        """Be away."""

    async def start(self) -> None:
        """Be back on the same port with the same images."""


@asynccontextmanager
async def registry(
    directory: Path, credentials: tuple[str, str] | None = None, *, say: Say = to_stderr
) -> AsyncIterator[Registry]:
    """Run a registry for the length of the block; it asks for *credentials* if there are any."""
    if can_be_had():
        async with docker_registry(directory, credentials, say=say) as debians:
            yield debians
        return
    say("no docker-registry, and only root can install it: images go to a registry of our own")
    door = credentials and Basic(username=credentials[0], password=credentials[1])
    async with oci_registry(door=door or None) as own:
        yield own
