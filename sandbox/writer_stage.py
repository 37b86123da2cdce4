"""repo-writer as a process of its own, on a real broker and a real git host."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.broker import Broker
from sandbox.git_server import GitServer, Repository
from sandbox.process import Child
from sandbox.virtual_host import virtual_host
from sandbox.working_copy import WorkingCopy
from shared.bus import names, rabbit
from shared.bus.client import Client
from shared.bus.layout import topology
from shared.bus.topology import declare
from shared.contract import Envelope
from shared.git.identity import repository_id


@dataclass(frozen=True, kw_only=True)
class WriterStage:
    """What a writer needs, and somebody's working copy of what it writes to."""

    root: Path
    amqp_url: str
    copy: WorkingCopy
    bus: Client
    repository: str
    branch: Path
    """The file in which the host has the head of the branch."""
    password: str

    @asynccontextmanager
    async def writer(
        self, name: str = "writer", *, faults: str = "", service: str = "repo_writer"
    ) -> AsyncIterator[Child]:
        """
        Run a writer that meets *faults*, or another *service* that needs no more than it does.

        Under another *name* it has a folder of its own.
        """
        env = {
            **os.environ,
            "AMQP_URL": self.amqp_url,
            "GIT_PASSWORD": self.password,
            "FLUX_FAULTS": faults,
            "FLUX__STATE_DIR": str(self.root / name),
        }
        argv = [sys.executable, "-m", f"services.{service}", "--config", self.root / "flux.yaml"]
        child = await Child.start(name, argv, log=self.root / f"{name}.log", env=env)
        try:
            yield child
        finally:
            await child.stop()

    async def told(self, enough: Callable[[list[Envelope]], bool]) -> list[Envelope]:
        """Return all that was said since the beginning, once it is *enough*."""
        heard: list[Envelope] = []
        async with asyncio.timeout(60), aclosing(self.bus.events(names.LOG)) as events:
            async for _, envelope in events:
                heard.append(envelope)
                if enough(heard):
                    return heard
        raise AssertionError("a stream never ends by itself")


@asynccontextmanager
async def writer_stage(
    broker: Broker,
    git: GitServer,
    root: Path,
    name: str,
    *,
    door: str = "http",
    automation: Mapping[str, object] | None = None,
) -> AsyncIterator[WriterStage]:
    """
    Make a repository and a virtual host of its own for one test; writers come by *door*.

    Their *automation* is that of flux.yaml.
    """
    repository = await git.create(f"{name}/apps")
    copy = await WorkingCopy.clone(repository, root / "copy")
    where = _by_ssh(git, repository) if door == "ssh" else _by_http(git, repository)
    sync = {"name": "apps", "git": {**where, "branch": "main"}}
    config = {
        "syncs": [sync],
        "health": {"repo_writer": 0, "git_watcher": 0},
        "automation": automation or {},
    }
    (root / "flux.yaml").write_text(json.dumps(config))
    async with virtual_host(broker, "writer") as url:
        wanted = topology([("default", "apps")])
        await declare(wanted, amqp_url=url, management_url=broker.management_url)
        async with rabbit.connect(url, source="/test") as bus:
            yield WriterStage(
                root=root,
                amqp_url=url,
                copy=copy,
                bus=bus,
                repository=repository_id(str(where["url"]), "main"),
                branch=repository.path / "refs" / "heads" / "main",
                password=git.password,
            )


def _by_http(git: GitServer, repository: Repository) -> Mapping[str, object]:
    auth = {"username": git.username, "password": {"env": "GIT_PASSWORD"}}
    return {"url": repository.http_url, "auth": auth}


def _by_ssh(git: GitServer, repository: Repository) -> Mapping[str, object]:
    auth = {
        "private_key": {"file": str(git.private_key_file)},
        "known_hosts": {"file": str(git.known_hosts_file)},
    }
    return {"url": repository.ssh_url, "auth": auth}
