"""
A whole Flux on the sandbox: its configuration, its topology, and each service as a process.

The demo, the end-to-end tests and the benchmarks run on this. It knows the services by their
commands and addresses only, as an operator does.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp

from sandbox import process
from sandbox.errors import SandboxError
from sandbox.everything import Everything
from sandbox.fork_server import ForkServer, fork_server
from sandbox.git_server import Repository
from sandbox.ports import free_port
from sandbox.process import Child
from sandbox.progress import Say, to_stderr
from sandbox.virtual_host import is_possible, service_urls, virtual_host
from shared.bundle.keys import write

SERVICES = ("git-watcher", "registry-scanner", "repo-writer", "cluster-applier", "gateway")

READY_TIMEOUT = 60.0


class Installation:
    """The five services on one configuration; each can be killed and started again."""

    def __init__(
        self,
        directory: Path,
        place: Everything,
        amqp_url: str,
        config: Mapping[str, object],
        *,
        namespace: str,
    ) -> None:
        self.directory = directory
        self.place = place
        self.amqp_url = amqp_url
        self.config_file = directory / "flux.yaml"
        self.children: dict[str, Child] = {}
        self.ports = {service: free_port() for service in SERVICES}
        self.gateway_url = f"http://127.0.0.1:{free_port()}/api/flux"
        self._config = config
        self._namespace = namespace
        self._fork_servers: Mapping[str, ForkServer] = {}
        # On a broker whose management API is not there nobody can make users: all share one.
        is_shared = amqp_url == place.broker.amqp_url
        self._urls = {} if is_shared else service_urls(amqp_url, SERVICES)

    async def configure(self) -> None:
        """Write `flux.yaml` (JSON is YAML) and declare what it needs on the broker."""
        self.directory.mkdir(parents=True, exist_ok=True)
        listen = self.gateway_url.removeprefix("http://").partition("/")[0]
        ports = {service.replace("-", "_"): port for service, port in self.ports.items()}
        whole = {
            "broker": {"management_url": self.place.broker.management_url} if self._urls else {},
            "gateway": {"listen": listen},
            "health": ports,
            "state_dir": str(self.directory / "state"),
            "targets": [
                {
                    "name": "default",
                    "kubeconfig": str(self.place.cluster.kubeconfig),
                    "namespace": self._namespace,
                    "seal": self._seal(),
                }
            ],
            "registries": [{"host": self.place.registry.host, "insecure": True}],
            **self._config,
        }
        self.config_file.write_text(json.dumps(whole, indent=2))
        argv = [sys.executable, "-m", "shared.bus.topology", "--config", self.config_file]
        await process.run(argv, env=self.env)

    def _seal(self) -> Mapping[str, object]:
        """Make the keys by which Secrets travel; they stay the same when this is called again."""
        private, public = self.directory / "seal.key", self.directory / "seal.pub"
        if not private.exists():
            public.write_text(write(private))
        return {"public_key": {"file": str(public)}, "private_key": {"file": str(private)}}

    @property
    def env(self) -> Mapping[str, str]:
        """The environment of all services together, with their passwords and the broker's own."""
        urls = {_variable(service): url for service, url in self._urls.items()}
        return {**self._common, "AMQP_URL": self.amqp_url, **urls}

    def env_of(self, service: str) -> Mapping[str, str]:
        """The environment of *service* alone: it knows no other's password."""
        if not self._urls:
            return self.env
        return {**self._common, _variable(service): self._urls[service]}

    @property
    def _common(self) -> Mapping[str, str]:
        return {**os.environ, "GIT_PASSWORD": self.place.git.password}

    def log(self, service: str) -> Path:
        """The log of *service*."""
        return self.directory / "logs" / f"{service}.log"

    async def start(self, *services: str, env: Mapping[str, str] | None = None) -> None:
        """Start *services* (all where none is named) and wait until each is ready."""
        named = services or SERVICES
        for service in named:
            await self.launch(service, env=env)
        await asyncio.gather(*(self.wait_ready(service) for service in named))

    async def launch(self, service: str, *, env: Mapping[str, str] | None = None) -> None:
        """Start *service*, and wait for nothing; `repo-writer.2` is one more repo-writer."""
        stage, _, replica = service.partition(".")
        name = stage.replace("-", "_")
        anywhere = {f"FLUX__HEALTH__{name.upper()}": "0"} if replica else {}
        state = {"FLUX__STATE_DIR": str(self.directory / f"state.{replica}")} if replica else {}
        environment = {**self.env_of(stage), **anywhere, **state, **(env or {})}
        arguments = ["--config", self.config_file]
        log, server = self.log(service), self._fork_servers.get(stage)
        if server is not None:
            child = await server.start(service, arguments, log=log, env=environment)
        else:
            argv = [sys.executable, "-m", f"services.{name}", *arguments]
            child = await Child.start(service, argv, log=log, env=environment)
        self.children[service] = child

    @asynccontextmanager
    async def forking(self) -> AsyncIterator[None]:
        """Start services by fork for the length of the block, where they start again and again."""
        async with AsyncExitStack() as stack:
            self._fork_servers = {
                service: await stack.enter_async_context(
                    fork_server(
                        f"services.{service.replace('-', '_')}.main",
                        log=self.log(f"{service}.fork-server"),
                    )
                )
                for service in SERVICES
            }
            try:
                yield
            finally:
                await self.stop()
                self._fork_servers = {}

    async def depth(self, queue: str) -> int:
        """Return how many messages lie in *queue*, as the management page has it."""
        broker, vhost = self.place.broker, self.amqp_url.rpartition("/")[2]
        login = aiohttp.encode_basic_auth(broker.username, broker.password)
        url = f"{broker.management_url}/api/queues/{vhost}/{queue}"
        async with (
            aiohttp.ClientSession(headers={"Authorization": login}) as session,
            session.get(url) as answer,
        ):
            return int((await answer.json()).get("messages", 0))

    async def wait_ready(self, service: str) -> None:
        """Wait until `/readyz` of *service* is green."""
        async with aiohttp.ClientSession() as session:
            address = f"http://127.0.0.1:{self.ports[service]}/readyz"

            async def ready() -> bool:
                try:
                    async with session.get(address) as answer:
                        return answer.status == 200
                except aiohttp.ClientError:
                    return False

            await self.children[service].wait_until(ready, timeout=READY_TIMEOUT)

    async def kill(self, service: str) -> None:
        """End *service* as a power failure would."""
        await self.children.pop(service).kill()

    async def stop(self, *services: str) -> None:
        """Stop *services* (all that run where none is named) in good order."""
        named = services or tuple(self.children)
        await asyncio.gather(*(self.children.pop(service).stop(grace=30) for service in named))

    async def fluxctl(self, *arguments: str) -> str:
        """Run `fluxctl` against the gateway; return what it printed."""
        argv = [sys.executable, "-m", "fluxctl", "--url", self.gateway_url, *arguments]
        return await process.run(argv)

    def check_alive(self) -> None:
        """
        Look whether a service ended that nobody stopped.

        Raises:
            SandboxError: one did; the text holds the end of its log.
        """
        for service, child in self.children.items():
            if child.returncode is not None:
                raise SandboxError(f"{service} ended by itself: {child}")


@asynccontextmanager
async def installation(
    directory: Path,
    place: Everything,
    config: Mapping[str, object],
    *,
    namespace: str = "flux-system",
    say: Say = to_stderr,
) -> AsyncIterator[Installation]:
    """
    Run all five services on *place* for the length of the block.

    *namespace* holds its inventories: two installations on one cluster must not share one.
    """
    async with AsyncExitStack() as stack:
        amqp_url = place.broker.amqp_url
        if place.broker.server is not None or await is_possible(place.broker):
            amqp_url = await stack.enter_async_context(virtual_host(place.broker))
        else:
            say(f"no management API at {place.broker.management_url}: one broker user for all")
        flux = Installation(directory, place, amqp_url, config, namespace=namespace)
        await flux.configure()
        stack.push_async_callback(flux.stop)
        say(f"starting {', '.join(SERVICES)}, each as its own process")
        await flux.start()
        yield flux


def _variable(service: str) -> str:
    return f"AMQP_URL_{service.replace('-', '_').upper()}"


def one_sync(
    repository: Repository,
    username: str,
    options: Mapping[str, object] | None = None,
    **more: object,
) -> Mapping[str, object]:
    """Return the configuration of one sync, `apps`, of all of *repository*; *options* are its."""
    auth = {"username": username, "password": {"env": "GIT_PASSWORD"}}
    git = {"url": repository.http_url, "branch": "main", "auth": auth}
    return {"syncs": [{"name": "apps", **_merged({"git": git}, options or {})}], **more}


def _merged(one: Mapping[str, object], other: Mapping[str, object]) -> Mapping[str, object]:
    both = {
        key: _merged(old, new)
        for key, new in other.items()
        if isinstance(old := one.get(key), dict) and isinstance(new, dict)
    }
    return {**one, **other, **both}
