"""git-watcher with fifty hosts, on a bus in memory: a dead one is no other's matter."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

import pytest
from yarl import URL

from sandbox.git_server import GitServer, git_server
from sandbox.progress import silent
from sandbox.proxy import copy
from sandbox.working_copy import WorkingCopy
from services.git_watcher import main
from shared.bus import names
from shared.bus.client import Client
from shared.bus.memory import MemoryBroker
from shared.config.model import Config
from shared.contract import (
    DependencyDown,
    DependencyUp,
    Draft,
    Event,
    HeadQuestion,
    HeadTold,
    PollRequested,
)
from shared.git.identity import repository_id
from shared.runtime.health import Health

HOSTS = 50
ROUNDS = 5
SLOW = 1.0

Mode = Literal["well", "hangs", "refuses", "slow"]


class Host:
    """A git host in front of another one, which dies in several ways and comes back."""

    def __init__(self, behind: URL) -> None:
        self._behind = behind
        self._mode: Mode = "well"
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def become(self, mode: Mode) -> None:
        """Be so from now on, and end what was before."""
        self._mode = mode
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if mode != "refuses":
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except asyncio.CancelledError:
            pass  # asyncio's server would report a cancelled handler as an error
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode == "hangs":
            await asyncio.Event().wait()
        if self._mode == "slow":
            await asyncio.sleep(SLOW)
        there, back = await asyncio.open_connection(self._behind.host, self._behind.port)
        try:
            with suppress(OSError):
                async with asyncio.TaskGroup() as group:
                    group.create_task(copy(reader, back))
                    group.create_task(copy(there, writer))
        finally:
            back.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A git-watcher of fifty repositories, of which the last one's host may die."""

    bus: Client
    host: Host
    repositories: Sequence[str]

    async def round(self) -> float:
        """Ask for the heads of all but the last; return how long that took."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for repository in self.repositories[:-1]:
                group.create_task(self.told(repository))
        return time.monotonic() - began

    async def told(self, repository: str) -> None:
        """Ask for the head of one, and be told it."""
        told = await self.bus.ask(HeadQuestion(repository=repository), timeout=60)
        assert isinstance(told, HeadTold)
        assert not told.error

    async def poll_last(self) -> None:
        await self.bus.publish(Draft(message=PollRequested(repository=self.repositories[-1])))

    async def counted(self, *, until: type[Event]) -> list[type[Event]]:
        """Return what was told of outages, in order, until one is *until*."""
        found: list[type[Event]] = []
        async with asyncio.timeout(40), aclosing(self.bus.events(names.LOG)) as events:
            async for _, envelope in events:
                if isinstance(envelope.message, DependencyDown | DependencyUp):
                    found.append(type(envelope.message))
                if isinstance(envelope.message, until):
                    break
        return found


@asynccontextmanager
async def staged(git: GitServer, directory: Path) -> AsyncIterator[Stage]:
    host = Host(URL(git.http_url))
    await host.become("well")
    first = await git.create("r0")
    clone = await WorkingCopy.clone(first, directory / "copy")
    await clone.commit_and_push("First", {"a.yaml": "{}\n"})
    for number in range(1, HOSTS):
        shutil.copytree(first.path, git.repository(f"r{number}").path)
    urls = [git.repository(f"r{number}").http_url for number in range(HOSTS)]
    urls[-1] = f"http://127.0.0.1:{host.port}/r{HOSTS - 1}.git"
    syncs = [
        {"name": f"s{number}", "git": {"url": url, "branch": "main"}}
        for number, url in enumerate(urls[:-1])
    ]
    syncs.append({"name": "last", "git": {"url": urls[-1], "branch": "main", "timeout": "2s"}})
    config = Config.model_validate({"syncs": syncs, "state_dir": str(directory / "state")})
    async with AsyncExitStack() as stack:
        broker = MemoryBroker([("default", sync.name) for sync in config.syncs])
        bus = await stack.enter_async_context(broker.connect("/git-watcher/test"))
        person = await stack.enter_async_context(broker.connect("/test"))
        workers = await stack.enter_async_context(main.wire(config, bus, Health()))
        stop = asyncio.Event()
        group = await stack.enter_async_context(asyncio.TaskGroup())
        running = [group.create_task(worker(stop)) for worker in workers.values()]
        try:
            yield Stage(
                bus=person,
                host=host,
                repositories=[repository_id(sync.git.url, "main") for sync in config.syncs],
            )
        finally:
            for task in running:
                task.cancel()
            await host.become("refuses")


@pytest.mark.parametrize("mode", ["hangs", "refuses", "slow"])
async def test_a_dead_host_of_fifty_delays_no_other_and_is_told_once(
    tmp_path: Path, mode: Mode
) -> None:
    async with (
        git_server(tmp_path / "git", say=silent, authenticate=False) as git,
        staged(git, tmp_path) as stage,
    ):
        await stage.round()
        await stage.told(stage.repositories[-1])
        before = [await stage.round() for _ in range(ROUNDS)]
        await stage.host.become(mode)
        dead = []
        for _ in range(ROUNDS):
            await stage.poll_last()
            dead.append(await stage.round())
        if mode != "slow":
            await stage.counted(until=DependencyDown)
        await stage.host.become("well")
        await stage.poll_last()
        after = [await stage.round() for _ in range(ROUNDS)]
        if mode != "slow":
            assert await stage.counted(until=DependencyUp) == [DependencyDown, DependencyUp]
        well = max(median(before), median(after))
        # Who waits for the dead host waits a second or two; a busy machine differs by less.
        assert median(dead) < 2 * well + 0.5, f"{median(dead)} s instead of {well} s"
