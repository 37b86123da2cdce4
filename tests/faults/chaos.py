"""
Processes that crash, freeze and lose their connections while images are pushed, and what must hold.

A round ends some replicas, does what people and builds do, and waits until git, cluster and log are
as they should be; meanwhile every replica that dies is started again with the next of its faults.
`ViolationError` tells how to play it again. Read `seeded` for what a seed decides.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import aiohttp

from sandbox.errors import SandboxError
from sandbox.kube import images
from sandbox.world import World
from tests.faults.history import History, history
from tests.faults.replica import BrokenRuleError, Replica
from tests.faults.report import Tally
from tests.faults.seeded import POINTS, WORKLOADS, Faults, Rounds, Wave
from tests.faults.written import Commit, Written

SETTLED = 90.0
"""Seconds in which everything must be as it should, whatever happened."""


class ViolationError(AssertionError):
    """A rule was broken; the text tells the seed, the faults and what was said."""


class Chaos:
    """One world, and everything that is done to it."""

    def __init__(self, world: World, seed: str, tally: Tally, *, replicas: int) -> None:
        self._world = world
        self._seed = seed
        self._tally = tally
        self._round = 0
        stages = [f"{stage}{more}" for stage in POINTS for more in ("", ".2")[:replicas]]
        names = [*stages, "gateway"]
        self._rounds = Rounds(seed, names)
        self._replicas = {
            name: Replica(world.flux, name, Faults(seed, name), tally) for name in names
        }
        self._versions = dict.fromkeys(WORKLOADS, 0)
        self._values = dict.fromkeys(WORKLOADS, 0)
        self._uids: dict[str, str] = {}
        self._written = Written()
        self._head = ""
        self._jobs: set[str] = set()

    async def run(self, crashes: int) -> None:
        """
        Play rounds until there were so many *crashes*, in all worlds together.

        Raises:
            ViolationError: a rule was broken.
        """
        async with history(self._world.flux, self._world.namespace) as told:
            try:
                await self._begin()
                async with self._world.flux.forking(), asyncio.TaskGroup() as group:
                    keeping = [
                        group.create_task(one.keep(), name=name)
                        for name, one in self._replicas.items()
                    ]
                    while self._tally.crashes < crashes:
                        await self._play(told)
                        print(f"{self._seed}: {self._tally.line(crashes)}", flush=True)
                    for task in keeping:
                        task.cancel()
            except* BrokenRuleError as errors:
                what = "; ".join(map(str, errors.exceptions))
                raise ViolationError(await self._told(what, told)) from errors

    async def _begin(self) -> None:
        """Have all workloads applied, each with a ConfigMap that must never go."""
        world = self._world
        await asyncio.gather(*(world.push_image(name, "1.0.0") for name in WORKLOADS))
        files = {f"{name}.yaml": world.deployment(name) for name in WORKLOADS}
        await world.push("Add all", files | {_file(name): self._config(name) for name in WORKLOADS})
        await asyncio.gather(*(world.wait_image(name, "1.0.0") for name in WORKLOADS))
        self._head = await world.copy.pull()
        self._uids = await self._uids_now()
        await world.flux.stop()

    async def _play(self, told: History) -> None:
        """Play one round."""
        self._round += 1
        self._tally.rounds += 1
        told.begin()
        for one in self._replicas.values():
            one.fired.clear()
        planned = self._rounds.next()
        for name, how in planned.ends.items():
            self._replicas[name].end(how)
        for wave in planned.waves:
            await self._wave(wave)
            await asyncio.sleep(wave.pause)
        await self._settle(told, time.monotonic())

    async def _wave(self, wave: Wave) -> None:
        async with asyncio.TaskGroup() as group:
            for name in wave.images:
                self._versions[name] += 1
                group.create_task(self._push(name))
            if wave.locked:
                group.create_task(self._lock_and_unlock(wave.locked))
            if wave.edited:
                group.create_task(self._edit(wave.edited))

    async def _push(self, name: str) -> None:
        """Push a newer image, and tell it as a registry does: once."""
        await self._world.push_image(name, self._version(name))
        async with _perhaps_deaf():
            await self._world.image_hook(name)

    async def _lock_and_unlock(self, name: str) -> None:
        """Give an order once, whether the gateway dies of it or not; then its opposite, surely."""
        with suppress(aiohttp.ClientError):
            self._jobs.add(await self._world.policy(name, add="locked"))
        while True:
            with suppress(aiohttp.ClientError):
                self._jobs.add(await self._world.policy(name, remove="locked"))
                return
            await asyncio.sleep(0.1)

    async def _edit(self, name: str) -> None:
        """Push a commit as a person does: behind what Flux pushed in between."""
        self._values[name] += 1
        copy = self._world.copy
        copy.write({_file(name): self._config(name)})
        await copy.commit(f"Edit {name}")
        while True:
            await copy.pull()
            with suppress(SandboxError):
                await copy.push()
                break
        async with _perhaps_deaf():
            await self._world.git_hook()

    async def _settle(self, told: History, began: float) -> None:
        """Wait until all is as it should be, then look whether anything was done wrongly."""
        deadline = began + SETTLED
        while wrong := await self._differences(told):
            if time.monotonic() > deadline:
                self._tally.lost += 1
                raise BrokenRuleError(f"not settled after {SETTLED:g} s: {wrong}")
            await asyncio.sleep(0.1)
        self._tally.stalled(time.monotonic() - began, f"{self._seed} round {self._round}")
        uids = await self._uids_now()
        gone = sorted(name for name, uid in self._uids.items() if uids.get(name) != uid)
        self._tally.wrong_deletes += len(gone)
        if gone:
            raise BrokenRuleError(f"deleted, or deleted and made anew: {gone}")
        if letters := await self._world.flux.depth("flux.dead"):
            raise BrokenRuleError(f"dead letters: {letters}")

    async def _differences(self, told: History) -> str:
        """Say what is not yet as it should be: in the cluster, in git, in the log."""
        if wrong := await self._wrong_in_cluster():
            return f"the cluster runs {wrong}"
        await self._look_at_git()
        if missing := self._written.missing(self._versions):
            return f"never written: {missing}"
        if untold := self._written.revisions - told.pushed():
            return f"written, and never told: {sorted(untold)}"
        if jobs := self._jobs - told.ended():
            return f"orders without an end: {sorted(jobs)}"
        return ""

    async def _wrong_in_cluster(self) -> Sequence[object]:
        kube, namespace = self._world.kube, self._world.namespace
        runs = {_name(one): images(one) for one in await kube.list("Deployment", namespace)}
        held = {_name(one): one.get("data") for one in await kube.list("ConfigMap", namespace)}
        values = {f"{name}-config": {"value": str(self._values[name])} for name in WORKLOADS}
        return [
            *((name, runs.get(name)) for name in WORKLOADS if runs.get(name) != self._runs(name)),
            *((name, held.get(name)) for name in values if held.get(name) != values[name]),
        ]

    async def _look_at_git(self) -> None:
        """Take in what was written since the last look."""
        git = self._world.copy.git
        await git("fetch", "--quiet")
        log = await git("log", "--reverse", "--format=%H%n%B%x00", f"{self._head}..origin/main")
        for text in filter(str.strip, log.split("\0")):
            commit = Commit.parse(text.strip())
            self._head = commit.revision
            self._take(commit)

    def _take(self, commit: Commit) -> None:
        self._tally.updates += len(commit.updates)
        if doubled := self._written.doubled(commit):
            self._tally.doubled += 1
            raise BrokenRuleError(f"written twice: {doubled}")
        if backwards := commit.backwards():
            self._tally.downgrades += 1
            raise BrokenRuleError(f"moved backwards: {backwards}")
        self._written.add(commit)

    async def _uids_now(self) -> dict[str, str]:
        kube, namespace = self._world.kube, self._world.namespace
        names = {*WORKLOADS, *(f"{name}-config" for name in WORKLOADS)}
        return {
            f"{kind} {_name(one)}": one["metadata"]["uid"]
            for kind in ("Deployment", "ConfigMap")
            for one in await kube.list(kind, namespace)
            if _name(one) in names
        }

    async def _told(self, what: str, told: History) -> str:
        faults = {name: [*one.fired, f"armed: {one.fault}"] for name, one in self._replicas.items()}
        lines = (
            f"world {self._seed}, round {self._round}: {what}",
            f"play it again with FAULTS_SEED={self._seed.partition('.')[0]}",
            *(f"{name}: {', '.join(some)}" for name, some in faults.items()),
            await told.told(),
            *(self._tail(name) for name in self._replicas),
        )
        return "\n".join(lines)

    def _tail(self, name: str) -> str:
        path = self._world.flux.log(name)
        lines = path.read_text(errors="replace").splitlines()[-15:]
        return "\n".join([f"--- the end of {name}'s log", *lines])

    def _version(self, name: str) -> str:
        return f"1.{self._versions[name]}.0"

    def _runs(self, name: str) -> list[str]:
        return [f"{self._world.host}/{self._world.namespace}/{name}:{self._version(name)}"]

    def _config(self, name: str) -> str:
        return (
            "apiVersion: v1\nkind: ConfigMap\n"
            f"metadata: {{name: {name}-config, namespace: {self._world.namespace}}}\n"
            f"data: {{value: '{self._values[name]}'}}\n"
        )


@asynccontextmanager
async def _perhaps_deaf() -> AsyncIterator[None]:
    """Give the gateway two seconds; it may have died, or be about to."""
    with suppress(aiohttp.ClientError, TimeoutError):
        async with asyncio.timeout(2):
            yield


def _file(name: str) -> str:
    return f"{name}-config.yaml"


def _name(found: object) -> str:
    return str(found["metadata"]["name"])  # type: ignore[index]
