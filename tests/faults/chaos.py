"""
Processes that crash, freeze and lose their connections while images are pushed, and what must hold.

A round arms faults in some services, pushes new images, lets what happens happen, starts again what
died, and waits until git and cluster are as they should be. `ViolationError` tells
how to play it again.
"""

import asyncio
import os
import random
import re
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from sandbox.kube import images
from sandbox.world import World
from shared.runtime.faults import VARIABLE

WORKLOADS = tuple(f"w{number}" for number in range(8))
SETTLED = 90.0
"""Seconds in which everything must be as it should, whatever happened."""

_BUS = ("publish.before", "publish.after", "ack.before", "ack.after")
POINTS: Mapping[str, Sequence[str]] = {
    "repo-writer": (*_BUS, "push.before", "push.after"),
    "git-watcher": (*_BUS, "marker.before", "marker.after"),
    "registry-scanner": _BUS,
    "cluster-applier": (
        *_BUS,
        *("apply.before", "apply.after", "inventory.before", "inventory.after"),
    ),
}
_WHATS = ("crash", "crash", "crash", "crash", "freeze", "drop", "delay:1.5")


class ViolationError(AssertionError):
    """A rule was broken; the text tells the seed, the faults and what was said."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was done and what was seen, over all rounds."""

    rounds: int = 0
    crashes: int = 0
    freezes: int = 0
    others: int = 0
    updates: int = 0
    lost: int = 0
    doubled: int = 0
    downgrades: int = 0
    wrong_deletes: int = 0
    longest_stall: float = 0.0
    by_point: dict[str, int] = field(default_factory=dict)


class Chaos:
    """One world, and everything that is done to it."""

    def __init__(self, world: World, seed: int) -> None:
        self.tally = Tally()
        self._world = world
        self._seed = seed
        self._random = random.Random(seed)
        self._versions = dict.fromkeys(WORKLOADS, 0)
        self._uids: dict[str, str] = {}
        self._seen: set[tuple[str, str]] = set()
        self._head = ""
        self._armed: dict[str, str] = {}

    async def begin(self) -> None:
        """Have all workloads applied, each with a ConfigMap that must never go."""
        world = self._world
        await asyncio.gather(*(world.push_image(name, "1.0.0") for name in WORKLOADS))
        files = {f"{name}.yaml": _manifest(world, name) for name in WORKLOADS}
        await world.push("Add all", files)
        await asyncio.gather(*(world.wait_image(name, "1.0.0") for name in WORKLOADS))
        self._head = await world.copy.pull()
        self._uids = await self._uids_now()

    async def round(self) -> None:
        """Play one round."""
        self.tally.rounds += 1
        await self._arm()
        chosen = self._random.sample(WORKLOADS, self._random.randint(1, len(WORKLOADS)))
        began = time.monotonic()
        await self._push(chosen)
        await self._settle(began)
        await self._check(chosen)

    async def _arm(self) -> None:
        """Start some services again, with faults in them."""
        services = self._random.sample(sorted(POINTS), self._random.randint(2, len(POINTS)))
        self._armed = {service: self._fault(service) for service in services}
        for service in services:
            if self._random.random() < 0.5:
                await self._world.flux.kill(service)
            else:
                await self._world.flux.stop(service)
        await asyncio.gather(
            *(
                self._world.flux.launch(service, env={VARIABLE: fault})
                for service, fault in self._armed.items()
            )
        )

    def _fault(self, service: str) -> str:
        point = self._random.choice(POINTS[service])
        what = self._random.choice(_WHATS)
        return f"{point}={what}@{self._random.randint(1, 2)}"

    async def _push(self, names: Sequence[str]) -> None:
        """Push a newer image of each, and tell it as a registry does: once."""
        for name in names:
            self._versions[name] += 1
            await self._world.push_image(name, self._version(name))
            with suppress(aiohttp.ClientError, TimeoutError):
                async with asyncio.timeout(2):
                    await self._world.image_hook(name)

    async def _settle(self, began: float) -> None:
        """Start again what died and thaw what froze, until all is as it should be."""
        deadline = began + SETTLED
        while not await self._is_settled():
            await self._mend()
            if time.monotonic() > deadline:
                await self._violated("not settled: " + await self._differences())
            await asyncio.sleep(0.2)
        stall = time.monotonic() - began
        self.tally.longest_stall = max(self.tally.longest_stall, stall)
        await self._mend()

    async def _mend(self) -> None:
        flux = self._world.flux
        for service, child in list(flux.children.items()):
            if child.returncode is not None:
                self._count(service, child.returncode)
                await flux.kill(service)
                await flux.launch(service)
            elif _is_frozen(child.pid):
                self._count(service, None)
                await asyncio.sleep(self._random.uniform(0.5, 3))
                os.kill(child.pid, signal.SIGCONT)

    def _count(self, service: str, code: int | None) -> None:
        point = self._armed.get(service, "?").partition("=")[0]
        self.tally.by_point[point] = self.tally.by_point.get(point, 0) + 1
        if code is None:
            self.tally.freezes += 1
        elif code == -signal.SIGKILL:
            self.tally.crashes += 1
        else:
            raise ViolationError(f"seed {self._seed}: {service} ended by itself, exit code {code}")

    async def _is_settled(self) -> bool:
        return not await self._differences()

    async def _differences(self) -> str:
        """Say what is not yet as it should be: in the cluster, and by that in git."""
        wanted = {name: self._image(name) for name in WORKLOADS}
        found = {
            one["metadata"]["name"]: images(one)
            for one in await self._world.kube.list("Deployment", self._world.namespace)
        }
        wrong = [name for name in WORKLOADS if found.get(name) != [wanted[name]]]
        return f"the cluster runs {[(name, found.get(name)) for name in wrong]}" if wrong else ""

    async def _check(self, names: Sequence[str]) -> None:
        """Hold what was written against what was wanted."""
        updates = await self._world.updates(self._head)
        self._head = await self._world.copy.pull()
        written = [
            tuple(re.findall(r"deployment/(\S+) main \S+:(\S+) -> \S+:(\S+)", one)[0])
            for one in reversed(updates)
        ]
        self.tally.updates += len(written)
        await self._check_written(written, names)
        uids = await self._uids_now()
        gone = {name for name, uid in self._uids.items() if uids.get(name) != uid}
        self.tally.wrong_deletes += len(gone)
        if gone:
            await self._violated(f"deleted, or deleted and made anew: {sorted(gone)}")
        if letters := await self._dead():
            await self._violated(f"dead letters: {letters}")

    async def _check_written(
        self, written: Sequence[tuple[str, ...]], names: Sequence[str]
    ) -> None:
        for name, before, after in written:
            if (name, after) in self._seen:
                self.tally.doubled += 1
                await self._violated(f"{name} {after} was written twice")
            if _number(after) <= _number(before):
                self.tally.downgrades += 1
                await self._violated(f"{name} went from {before} to {after}")
            self._seen.add((name, after))
        lost = [name for name in names if (name, self._version(name)) not in self._seen]
        self.tally.lost += len(lost)
        if lost:
            await self._violated(f"never written: {lost}")

    async def _uids_now(self) -> dict[str, str]:
        kube, namespace = self._world.kube, self._world.namespace
        found = [
            *await kube.list("Deployment", namespace),
            *(await kube.list("ConfigMap", namespace)),
        ]
        return {
            f"{one['metadata']['name']} {one.get('kind', '')}": one["metadata"]["uid"]
            for one in found
            if one["metadata"]["name"] in {*WORKLOADS, *(f"{name}-config" for name in WORKLOADS)}
        }

    async def _dead(self) -> int:
        return await self._world.flux.depth("flux.dead")

    async def _violated(self, what: str) -> None:
        logs = [self._tail(service) for service in POINTS]
        raise ViolationError(
            "\n".join(
                (
                    f"seed {self._seed}, round {self.tally.rounds}: {what}",
                    f"faults: {self._armed}",
                    *logs,
                )
            )
        )

    def _tail(self, service: str) -> str:
        path: Path = self._world.flux.log(service)
        lines = path.read_text(errors="replace").splitlines()[-15:]
        return "\n".join([f"--- the end of {service}'s log", *lines])

    def _version(self, name: str) -> str:
        return f"1.{self._versions[name]}.0"

    def _image(self, name: str) -> str:
        return f"{self._world.host}/{self._world.namespace}/{name}:{self._version(name)}"


def _manifest(world: World, name: str) -> str:
    config = (
        "---\napiVersion: v1\nkind: ConfigMap\n"
        f"metadata: {{name: {name}-config, namespace: {world.namespace}}}\ndata: {{a: b}}\n"
    )
    return world.deployment(name) + config


def _is_frozen(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    return False


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
