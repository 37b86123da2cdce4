"""
A real registry for the sandbox: Debian's docker-registry, with or without a password.

Read `registry` for what stands in where it can't be had, `images` for what is pushed.
"""

import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import bcrypt

from sandbox import apt
from sandbox.errors import MissingError
from sandbox.process import Child
from sandbox.progress import Say, to_stderr

_PROGRAM = "docker-registry"
_LISTENING = re.compile(r"listening on 127\.0\.0\.1:(\d+)")


@dataclass(slots=True, kw_only=True)
class DockerRegistry:
    """Where the registry is; it can be stopped and started on its port."""

    host: str
    _directory: Path
    _child: Child
    how: str = f"Debian's {_PROGRAM}"

    async def stop(self) -> None:
        """End it."""
        await self._child.stop()

    async def start(self) -> None:
        """Start it again on the same port with the same images."""
        self._child, _ = await _started(self._directory, self.host)


def can_be_had() -> bool:
    """Tell whether it is installed, or may be."""
    return shutil.which(_PROGRAM) is not None or apt.is_allowed()


@asynccontextmanager
async def docker_registry(
    directory: Path, credentials: tuple[str, str] | None = None, *, say: Say = to_stderr
) -> AsyncIterator[DockerRegistry]:
    """
    Run a registry with all its files in *directory* for the length of the block.

    Raises:
        MissingError: it is not installed and can't be.
    """
    if not can_be_had():
        raise MissingError("docker-registry is not installed, and only root can install it")
    if shutil.which(_PROGRAM) is None:
        await apt.install(_PROGRAM, why="images are pushed to a real registry", say=say)
    _configure(directory, "127.0.0.1:0", credentials)
    child, host = await _started(directory, "127.0.0.1:0")
    registry = DockerRegistry(host=host, _directory=directory, _child=child)
    _configure(directory, host, credentials)
    try:
        yield registry
    finally:
        await registry.stop()


def _configure(directory: Path, address: str, credentials: tuple[str, str] | None) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    config: dict[str, object] = {
        "version": "0.1",
        "log": {"level": "info"},
        "storage": {
            "filesystem": {"rootdirectory": str(directory / "data")},
            "delete": {"enabled": True},
        },
        "http": {"addr": address},
    }
    if credentials:
        name, password = credentials
        hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=5)).decode()
        (directory / "htpasswd").write_text(f"{name}:{hashed}\n")
        path = str(directory / "htpasswd")
        config["auth"] = {"htpasswd": {"realm": "sandbox", "path": path}}
    (directory / "config.json").write_text(json.dumps(config))  # JSON is YAML


async def _started(directory: Path, address: str) -> tuple[Child, str]:
    log = directory / "registry.log"
    log.unlink(missing_ok=True)
    child = await Child.start(_PROGRAM, [_PROGRAM, "serve", directory / "config.json"], log=log)

    async def listening() -> bool:
        return _LISTENING.search(log.read_text(errors="replace")) is not None

    await child.wait_until(listening, timeout=20)
    found = _LISTENING.search(log.read_text(errors="replace"))
    assert found is not None
    return child, f"127.0.0.1:{found[1]}" if address.endswith(":0") else address
