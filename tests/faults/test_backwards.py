"""Never backwards: no registry, restart or old message has an older image written."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from hypothesis.strategies import integers, sampled_from

from sandbox.errors import SandboxError
from sandbox.git_server import GitServer, git_server
from sandbox.oci_registry import OciRegistry, faults, oci_registry
from sandbox.progress import silent
from sandbox.working_copy import WorkingCopy
from sandbox.world import DEPLOYMENT
from services.git_watcher.main import wire as git_watcher
from services.registry_scanner.main import wire as registry_scanner
from services.repo_writer.main import wire as repo_writer
from shared.bus import names
from shared.bus.client import Client
from shared.bus.memory import MemoryBroker
from shared.config.model import Config
from shared.contract import (
    DependencyDown,
    Draft,
    Envelope,
    ImagesFound,
    PollRequested,
    ScanCompleted,
    ScanFailed,
    ScanRequested,
    StateDeclared,
)
from shared.git.identity import repository_id
from shared.runtime import lifecycle
from shared.runtime.health import Health
from tests.faults.written import Commit

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

PARTS = {
    "git-watcher": git_watcher,
    "registry-scanner": registry_scanner,
    "repo-writer": repo_writer,
}
MISBEHAVIOUR = {
    "empty": faults.says({"name": "acme/web", "tags": []}),
    "null": faults.says({"name": "acme/web", "tags": None}),
    "cut short": faults.truncated(),
    "limited": faults.status(429, Retry_After="1"),
    "gone": faults.status(404),
    "broken": faults.status(500),
    "no JSON": faults.says(b"<html>"),
}
EXAMPLES, STEPS = 4, 12


class Stage:
    """Three stages on a bus in memory, a registry that misbehaves, a git host, and a person."""

    def __init__(self, root: Path, git: GitServer, registry: OciRegistry) -> None:
        self.registry = registry
        self.heard: list[Envelope] = []
        self.copy: WorkingCopy
        self.bus: Client
        self._git = git
        self._root = root
        self._broker = MemoryBroker([("default", "apps")])
        self._stops: dict[str, asyncio.Event] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    async def open(self, stack: AsyncExitStack) -> None:
        repository = await self._git.create("apps")
        self.copy = await WorkingCopy.clone(repository, self._root / "copy")
        await self.declare("1.0.0")
        git = {"url": repository.http_url, "branch": "main"}
        self._config = Config.model_validate(
            {
                "syncs": [{"name": "apps", "git": git}],
                "registries": [{"host": self.registry.host, "insecure": True}],
                "automation": {"interval": "1h"},
                "state_dir": str(self._root / "state"),
            }
        )
        self.repository = repository_id(repository.http_url, "main")
        self.bus = await stack.enter_async_context(self._broker.connect("/test"))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        listening = group.create_task(self._listen())
        stack.callback(listening.cancel)
        for part in PARTS:
            self._start(part)
        stack.push_async_callback(self._stop, *PARTS)

    async def declare(self, tag: str, *, locked: bool = False) -> None:
        """Commit, as a person, that *tag* is to run."""
        text = DEPLOYMENT.format(name="web", namespace="acme", host=self.registry.host, tag=tag)
        if locked:
            text = text.replace("annotations: {", 'annotations: {fluxcd.io/locked: "true", ')
        while True:
            self.copy.write({"web.yaml": text})
            await self.copy.git("add", "--all")
            await self.copy.git("commit", "--quiet", "--allow-empty", "--message", f"Run {tag}")
            try:
                await self.copy.push()
            except SandboxError:
                await self.copy.git("reset", "--quiet", "--hard", "HEAD~1")
                await self.copy.pull()
            else:
                return

    async def restart(self, part: str, *, cold: bool) -> None:
        await self._stop(part)
        if cold:
            shutil.rmtree(self._root / "state" / part, ignore_errors=True)
        self._start(part)

    async def scan(self) -> None:
        """Have the registry read, and wait until that is told, however it went."""
        before = self._count(ScanCompleted, ScanFailed, DependencyDown)
        image = f"{self.registry.host}/acme/web"
        await self.bus.publish(Draft(message=ScanRequested(image=image, reason="webhook")))
        await self.until(
            lambda: self._count(ScanCompleted, ScanFailed, DependencyDown) > before, seconds=3
        )

    async def poll(self) -> None:
        """Have git read, and wait until it is told what it declares."""
        before = self._count(StateDeclared)
        poll = PollRequested(repository=self.repository, reason="again")
        await self.bus.publish(Draft(message=poll))
        await self.until(lambda: self._count(StateDeclared) > before, seconds=5)

    async def say_again(self, which: int) -> None:
        """Say something old once more."""
        old = [one for one in self.heard if isinstance(one.message, ImagesFound | StateDeclared)]
        if old:
            await self.bus.publish(Draft(message=old[which % len(old)].message))

    async def commits(self) -> list[Commit]:
        await self.copy.pull()
        log = await self.copy.git("log", "--reverse", "--format=%H%n%B%x00")
        return [Commit.parse(text.strip()) for text in log.split("\0") if text.strip()]

    async def until(self, condition: Callable[[], bool], *, seconds: float) -> bool:
        for _ in range(int(seconds / 0.02)):
            if condition():
                return True
            await asyncio.sleep(0.02)
        return False

    def _count(self, *kinds: type) -> int:
        return sum(isinstance(one.message, kinds) for one in self.heard)

    def _start(self, part: str) -> None:
        self._stops[part] = asyncio.Event()
        self._running[part] = asyncio.create_task(self._run(part, self._stops[part]), name=part)

    async def _stop(self, *parts: str) -> None:
        for part in parts:
            self._stops[part].set()
            await self._running[part]

    async def _run(self, part: str, stop: asyncio.Event) -> None:
        async with (
            self._broker.connect(f"/{part}/test") as bus,
            PARTS[part](self._config, bus, Health()) as workers,
        ):
            await lifecycle.supervise(workers, stop=stop, grace=5)

    async def _listen(self) -> None:
        async with aclosing(self.bus.events(names.LOG)) as events:
            async for _, envelope in events:
                self.heard.append(envelope)


class NeverBackwards(RuleBasedStateMachine):
    """What may happen to an automated image, in any order."""

    @initialize()
    def begin(self) -> None:
        self._runner = asyncio.Runner()
        self._ended = asyncio.Event()
        self.newest, self.locked, self.floor = 0, False, 0
        self.held = self._runner.get_loop().create_task(self._hold())
        self.stage = self._do(self._opened())

    async def _opened(self) -> Stage:
        while not hasattr(self, "_ready"):
            if self.held.done():
                self.held.result()
            await asyncio.sleep(0.01)
        return self._ready

    async def _hold(self) -> None:
        """Keep the stage open: what a task opens it must close itself."""
        with tempfile.TemporaryDirectory() as root:
            directory = Path(root)
            async with (
                git_server(directory / "git", say=silent, authenticate=False) as git,
                oci_registry() as registry,
                AsyncExitStack() as stack,
            ):
                registry.page = 2
                registry.content.push("acme/web", "1.0.0")
                stage = Stage(directory, git, registry)
                await stage.open(stack)
                await stage.poll()
                self._ready = stage
                await self._ended.wait()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    @rule()
    def a_newer_image_is_pushed(self) -> None:
        self.newest += 1
        self.stage.registry.content.push("acme/web", f"1.{self.newest}.0")
        self._do(self.stage.scan())

    @rule(what=sampled_from(sorted(MISBEHAVIOUR)), after=integers(0, 2))
    def the_registry_misbehaves(self, what: str, after: int) -> None:
        """At once, or in the middle of a list of several pages."""
        self.stage.registry.fail(MISBEHAVIOUR[what], where="tags/list", after=after, times=1)
        self._do(self.stage.scan())

    @rule(part=sampled_from(sorted(PARTS)), cold=sampled_from([True, False]))
    def it_is_restarted(self, *, part: str, cold: bool) -> None:
        self._do(self.stage.restart(part, cold=cold))

    @rule(which=integers(0, 1_000))
    def something_old_is_said_again(self, which: int) -> None:
        self._do(self.stage.say_again(which))

    @rule()
    def git_is_polled(self) -> None:
        self._do(self.stage.poll())

    @precondition(lambda self: not self.locked)
    @rule()
    def a_person_goes_back_and_locks_it(self) -> None:
        self._do(self.stage.declare("1.0.0", locked=True))
        self._do(self.stage.poll())
        self.locked = True
        self.before = len(self._do(self.stage.commits()))

    @precondition(lambda self: self.locked)
    @rule()
    def it_is_unlocked(self) -> None:
        assert self._written_since_locked() == []
        self._do(self.stage.declare("1.0.0"))
        self._do(self.stage.poll())
        self.locked = False

    @invariant()
    def nothing_moved_backwards(self) -> None:
        if not hasattr(self, "stage"):
            return
        commits = self._do(self.stage.commits())
        assert [one for commit in commits for one in commit.backwards()] == []
        assert not self.locked or self._written_since_locked() == []

    def _written_since_locked(self) -> list[Commit]:
        return [one for one in self._do(self.stage.commits())[self.before :] if one.updates]

    def teardown(self) -> None:
        if not hasattr(self, "stage"):
            return
        try:
            self.stage.registry.reset()
            if not self.locked and self.newest:
                self._do(self._follows())
        finally:
            self._ended.set()
            self._do(_finished(self.held))
            self._runner.close()

    async def _follows(self) -> None:
        """When all is well again the newest image is declared, and stays so."""
        wanted = f":1.{self.newest}.0"
        for _ in range(20):
            await self.stage.poll()
            await self.stage.scan()
            await self.stage.copy.pull()
            if wanted in self.stage.copy.read("web.yaml"):
                return
        raise AssertionError(f"{wanted} is not declared: {self.stage.copy.read('web.yaml')}")


async def _finished(task: Awaitable[None]) -> None:
    await task


def test_no_order_of_events_leads_to_an_older_image() -> None:
    run_state_machine_as_test(
        NeverBackwards,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            # To find the shortest story takes many runs of a second for each step.
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
