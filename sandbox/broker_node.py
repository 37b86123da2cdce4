"""
A private RabbitMQ node: the installed server, with ports, data and a cookie of its own.

Runs as any user, beside the machine's own node and beside other copies. Knows the
rabbitmq-server of 3.10 and 4.x; who asks for it and why is `broker`'s business.
"""

import os
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import aiohttp

from sandbox import process
from sandbox.errors import SandboxError
from sandbox.ports import free_port
from sandbox.process import Child
from sandbox.progress import Say

# Debian's command in /usr/sbin refuses to run for a normal user; this is what it calls.
_DEBIAN = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_AMQP_HELLO = b"AMQP\x00\x00\x09\x01"
_START_TIMEOUT = 120.0  # seconds; a quiet machine needs 6, a busy one 20
_STOP_GRACE = 30.0
STATISTICS = 5.0
"""Seconds between two looks of the management page at everything; RabbitMQ's default."""
_PLUGINS = "[rabbitmq_management,rabbitmq_prometheus].\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Ports on loopback, and the administrator's name and password."""

    amqp: int = field(default_factory=free_port)
    management: int = field(default_factory=free_port)
    prometheus: int = field(default_factory=free_port)
    username: str = "flux"
    password: str = field(default_factory=lambda: secrets.token_hex(16))


def find_server() -> Path | None:
    """Find the script that starts a node; None if RabbitMQ is not installed."""
    if _DEBIAN.exists():
        return _DEBIAN
    found = shutil.which("rabbitmq-server")
    return Path(found).resolve() if found else None


@asynccontextmanager
async def running(
    script: Path, directory: Path, *, say: Say, statistics: float = STATISTICS
) -> AsyncIterator["Node"]:
    """Run a node with everything it writes in *directory*."""
    async with AsyncExitStack() as stack:
        say(f"starting a private RabbitMQ node of {script}")
        node = Node(script, directory, statistics=statistics)
        await stack.enter_async_context(epmd(node.epmd, directory))
        # Its data goes with it, so there is nothing to save: an orderly stop takes 6 s.
        stack.push_async_callback(node.kill)
        await node.start()
        yield node


@dataclass(frozen=True, slots=True, kw_only=True)
class Club:
    """What nodes must share to be one cluster; a node by itself has one of its own."""

    epmd: int = field(default_factory=free_port)
    cookie: str = field(default_factory=lambda: secrets.token_hex(16))
    names: tuple[str, ...] = ()
    """Of all nodes; empty for a single one."""


@asynccontextmanager
async def epmd(port: int, directory: Path) -> AsyncIterator[None]:
    """Run Erlang's name server; started by a node it would outlive us, as a daemon."""
    argv = [_find_epmd(), "-port", str(port), "-address", "127.0.0.1"]
    async with process.running("epmd", argv, log=directory / "epmd.log", grace=1):
        yield


class Node:
    """The node: stopped, started and killed at will, with the same ports and data."""

    def __init__(
        self,
        script: Path,
        directory: Path,
        *,
        address: Address | None = None,
        club: Club | None = None,
        statistics: float = STATISTICS,
    ) -> None:
        self.address = address or Address()
        self._club = club or Club()
        self._statistics = statistics
        self._distribution = free_port()
        self._script = script
        self._directory = directory.absolute()
        self._child: Child | None = None
        self._prepare()

    @property
    def epmd(self) -> int:
        """The port at which Erlang's nodes find each other."""
        return self._club.epmd

    async def start(self) -> None:
        """Start it, and wait until it takes connections and knows its administrator."""
        if self._child is not None:
            raise SandboxError("the RabbitMQ node runs already; stop or kill it first")
        log = self._directory / "rabbitmq.log"
        self._child = await Child.start(
            "the RabbitMQ node", [self._script], log=log, env=self._environment()
        )
        await self._child.wait_until(self._is_ready, timeout=_START_TIMEOUT)

    async def stop(self) -> None:
        """Ask it to stop, which it does in good order."""
        if self._child is not None:
            await self._child.stop(grace=_STOP_GRACE)
            self._child = None

    async def kill(self) -> None:
        """End it as a power failure would."""
        if self._child is not None:
            await self._child.kill()
            self._child = None

    def lose_data(self) -> None:
        """Take away everything that it keeps; it must not run."""
        if self._child is not None:
            raise SandboxError("the RabbitMQ node runs; kill it before its data is taken away")
        shutil.rmtree(self._directory / "mnesia")
        self._prepare()

    async def alarm(self, what: Literal["memory", "disk"], *, on: bool) -> None:
        """Let it believe that this is full (it blocks who publishes), or not any more."""
        if what == "memory":
            command = ["set_vm_memory_high_watermark", "absolute", "1MB" if on else "2GB"]
        else:
            command = ["set_disk_free_limit", "1000000GB" if on else "50MB"]
        argv = [self._script.with_name("rabbitmqctl"), *command]
        await process.run(argv, env=self._environment())

    async def _is_ready(self) -> bool:
        return await process.greets(self.address.amqp, _AMQP_HELLO, b"\x01") and await serves(
            self.address
        )

    def _prepare(self) -> None:
        for folder in ("home", "mnesia", "log", "generated"):
            (self._directory / folder).mkdir(parents=True, exist_ok=True)
        cookie = self._directory / "home/.erlang.cookie"
        cookie.write_text(self._club.cookie)
        cookie.chmod(0o400)  # Erlang insists
        (self._directory / "enabled_plugins").write_text(_PLUGINS)
        (self._directory / "env.conf").touch()
        configuration = self._directory / "rabbitmq.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(self._configuration())

    def _configuration(self) -> str:
        address = self.address
        return "\n".join(
            (
                f"listeners.tcp.default = 127.0.0.1:{address.amqp}",
                "management.tcp.ip = 127.0.0.1",
                f"management.tcp.port = {address.management}",
                "prometheus.tcp.ip = 127.0.0.1",
                f"prometheus.tcp.port = {address.prometheus}",
                f"default_user = {address.username}",
                f"default_pass = {address.password}",
                "default_user_tags.administrator = true",
                # A full disk or a small machine should not block publishers in a test.
                "disk_free_limit.absolute = 50MB",
                "vm_memory_high_watermark.absolute = 2GB",
                f"collect_statistics_interval = {self._statistics * 1000:.0f}",
                *_discovery(self._club.names),
                "",
            )
        )

    def _environment(self) -> dict[str, str]:
        directory = self._directory
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(directory / "home"),
            "ERL_EPMD_PORT": str(self.epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # Without it the script stays as a shell in between, and what ends it leaves the node.
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_NODENAME": node_name(self.address),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.address.amqp),
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(directory / "pid"),
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq"),  # it adds .conf
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(directory / "advanced"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(directory / "env.conf"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(directory / "generated"),
            # Otherwise the port between nodes is open on every address.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ("-kernel inet_dist_use_interface {127,0,0,1}"),
        }


def node_name(address: Address) -> str:
    """Return what Erlang calls the node at *address*."""
    return f"flux-{address.amqp}@localhost"


def _discovery(names: tuple[str, ...]) -> list[str]:
    if not names:
        return []
    key = "cluster_formation"
    return [
        f"{key}.peer_discovery_backend = classic_config",
        *(f"{key}.classic_config.nodes.{n} = {name}" for n, name in enumerate(names, start=1)),
    ]


async def serves(address: Address) -> bool:
    """Tell whether the management page and the metrics answer, too."""
    login = aiohttp.encode_basic_auth(address.username, address.password)
    base = "http://127.0.0.1"
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            whoami = f"{base}:{address.management}/api/whoami"
            async with session.get(whoami, headers={"Authorization": login}) as answer:
                known = answer.status == 200
            async with session.get(f"{base}:{address.prometheus}/metrics") as answer:
                return known and answer.status == 200
    except (TimeoutError, aiohttp.ClientError):
        return False


def _find_epmd() -> Path:
    found = shutil.which("epmd") or next(
        iter(sorted(map(str, Path("/usr/lib/erlang").glob("erts-*/bin/epmd")))), None
    )
    if found is None:
        raise SandboxError("epmd, a part of Erlang, is not there: reinstall rabbitmq-server")
    return Path(found)
