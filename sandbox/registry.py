"""
A real registry for the sandbox: Debian's docker-registry, with or without a password.

Read `oci_registry` for the one of our own that can misbehave, `images` for what is pushed.
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
from sandbox.errors import SandboxError
from sandbox.process import Child
from sandbox.progress import Say, to_stderr

_PROGRAM = "docker-registry"
_LISTENING = re.compile(r"listening on 127\.0\.0\.1:(\d+)")


@dataclass(slots=True, kw_only=True)
class Registry:
    """Where the registry is, and who gets in; it can be stopped and started on its port."""

    host: str
    username: str | None
    password: str | None
    how: str
    _directory: Path
    _child: Child

    async def stop(self) -> None:
        """End it."""
        await self._child.stop()

    async def start(self) -> None:
        """Start it again on the same port with the same images."""
        self._child, _ = await _started(self._directory, self.host)


@asynccontextmanager
async def docker_registry(
    directory: Path, credentials: tuple[str, str] | None = None, *, say: Say = to_stderr
) -> AsyncIterator[Registry]:
    """
    Run a registry with all its files in *directory* for the length of the block.

    Raises:
        SandboxError: docker-registry is not installed and can't be.
    """
    if shutil.which(_PROGRAM) is None:
        if not apt.is_allowed():
            raise SandboxError(
                "no registry: run `sudo apt-get install docker-registry`, or run this as root"
            )
        await apt.install(_PROGRAM, why="images are pushed to a real registry", say=say)
    _configure(directory, "127.0.0.1:0", credentials)
    child, host = await _started(directory, "127.0.0.1:0")
    registry = Registry(
        host=host,
        username=credentials and credentials[0],
        password=credentials and credentials[1],
        how=f"Debian's {_PROGRAM}",
        _directory=directory,
        _child=child,
    )
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
