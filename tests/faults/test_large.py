"""A thousand files: a bad one spoils only itself, and what is done follows what changed."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from uuid import uuid4

import aiohttp
import pytest

from sandbox.everything import Everything
from sandbox.world import World
from sandbox.world import world as a_world
from shared.contract import Problem, StateDeclared, SyncCompleted
from tests.faults.history import History, history
from tests.faults.test_replicas import config_map, wait_value

pytestmark = [
    *(pytest.mark.e2e, pytest.mark.rabbit, pytest.mark.cluster, pytest.mark.faults),
    pytest.mark.timeout(300),
]

FILES = tuple(f"c{number:03}" for number in range(1_000))
IMAGES = ("web", "api", "db")
CORRUPT = {
    "c100": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c100\n",
    "c200": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n\tname: c200\n",
    "c300": "apiVersion: v1\nkind: ConfigMap\nmetadata: [c300]\n",
    "c400": "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n",
    "c500": "apiVersion: v1\nkind: ConfigMap\ndata: {a: 'b\n",
    "c600": "- apiVersion: v1\n- kind: ConfigMap\n",
    "c700": "apiVersion: v1\nkind: ConfigMap\n\x00\x01\n",
}
WRITES = {"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"}
IDLE = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Large:
    """A world with a thousand files and some automated images, looked at every second."""

    world: World
    told: History

    async def values(self) -> dict[str, str]:
        found = await self.world.kube.list("ConfigMap", self.world.namespace)
        return {one["metadata"]["name"]: (one.get("data") or {}).get("v", "") for one in found}

    async def metric(self, service: str, name: str) -> float:
        """Return a metric of *service*, summed over its labels."""
        url = f"http://127.0.0.1:{self.world.flux.ports[service]}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            text = await answer.text()
        lines = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
        return sum(map(float, lines))

    async def writes(self) -> Counter[str]:
        """Return what the API server counted of writes, but for what a cluster does by itself."""
        text = await self.world.kube.metrics()
        found: Counter[str] = Counter()
        counters = re.findall(r"^apiserver_request_total{(.*)} (\S+)$", text, re.MULTILINE)
        for labels, count in counters:
            named = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            if named["verb"] in WRITES and named["resource"] in {"configmaps", "deployments"}:
                found[f"{named['verb']} {named['resource']}"] += int(float(count))
        return found

    async def applied(self, revision: str) -> SyncCompleted:
        async with asyncio.timeout(60):
            while True:
                for one in self.told.of(SyncCompleted):
                    if isinstance(one.message, SyncCompleted) and one.message.revision == revision:
                        return one.message
                await asyncio.sleep(0.05)

    def problems(self, revision: str) -> tuple[Problem, ...]:
        messages = [one.message for one in self.told.of(StateDeclared)]
        return next(one.problems for one in messages if one.revision == revision)


@pytest.fixture(scope="module")
async def large(
    place: Everything, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Large]:
    name, directory = f"large-{uuid4().hex[:6]}", tmp_path_factory.mktemp("large")
    counting = replace(place, registry=place.oci_registry)
    async with (
        a_world(counting, directory, name, automation={"interval": "1s"}) as world,
        history(world.flux, name) as told,
    ):
        found = Large(world=world, told=told)
        await world.flux.stop("git-watcher")
        often = {"FLUX__SYNCS__0__GIT__POLL_INTERVAL": "1s"}
        await world.flux.start("git-watcher", env=often)
        for image in IMAGES:
            await world.push_image(image, "1.0.0")
        files = {f"{image}.yaml": world.deployment(image) for image in IMAGES}
        revision = await world.push("Add all", files | config_map(world, 0, *FILES))
        await found.applied(revision)
        yield found


async def test_bad_files_of_a_thousand_spoil_only_themselves(large: Large) -> None:
    world = large.world
    gone, left = FILES[0], set(FILES) - CORRUPT.keys() - {FILES[0]}
    files = config_map(world, 1, *left) | {f"{name}.yaml": text for name, text in CORRUPT.items()}
    revision = await world.push("Change all, spoil some", files, remove=[f"{gone}.yaml"])
    done = await large.applied(revision)
    problems = {one.file: one.line for one in large.problems(revision)}
    values = await large.values()

    assert problems.keys() == {f"{name}.yaml" for name in CORRUPT}
    assert all(line >= 1 for line in problems.values())
    assert {name for name in FILES if values.get(name) == "1"} == left
    assert {values[name] for name in (*CORRUPT, gone)} == {"0"}
    assert not done.pruned
    assert "deleted" not in done.counts

    revision = await world.push("Mend them", config_map(world, 1, *CORRUPT))
    assert (await large.applied(revision)).counts["deleted"] == 1
    assert set((await large.values()).values()) >= {"1"}
    assert gone not in await large.values()


async def test_one_file_of_a_thousand_is_one_parse_and_one_apply(large: Large) -> None:
    name = FILES[1]
    parsed = await large.metric("git-watcher", "flux_git_watcher_files_parsed_total")
    writes = await large.writes()
    revision = await large.world.push("Change one", config_map(large.world, 7, name))
    await wait_value(large.world, name, 7, timeout=60)
    await large.applied(revision)
    after = await large.metric("git-watcher", "flux_git_watcher_files_parsed_total")
    assert after - parsed == 1
    # The other is the inventory.
    assert await large.writes() - writes == Counter({"APPLY configmaps": 1, "PUT configmaps": 1})


async def test_at_rest_a_poll_is_one_listing_and_a_scan_one_request(large: Large) -> None:
    git, registry = large.world.flux.place.git, large.world.flux.place.oci_registry
    polls, scans = "flux_git_watcher_fetch_seconds_count", "flux_registry_scanner_scans_total"
    await at_rest(large)
    git.requests.clear()
    before = await large.metric("git-watcher", polls), await large.metric("registry-scanner", scans)
    asked, writes = registry.count(), await large.writes()
    await asyncio.sleep(IDLE)
    assert await large.writes() == writes
    after = await large.metric("git-watcher", polls), await large.metric("registry-scanner", scans)
    # Each is asked for twice by HTTP: libgit2 shows a password only where it was asked for it.
    listings = [one for one in git.requests if one.status != 401]
    assert after[0] - before[0] >= IDLE / 4
    assert abs(len(listings) - (after[0] - before[0])) <= 1
    assert all("info/refs?service=git-upload-pack" in one.path for one in listings)
    assert abs(registry.count() - asked - (after[1] - before[1])) <= len(IMAGES)
    assert after[1] - before[1] >= len(IMAGES) * IDLE / 4


async def at_rest(large: Large) -> None:
    """Wait until nothing more comes of what was pushed: the tag of the sync is pushed last."""
    git = large.world.flux.place.git
    async with asyncio.timeout(60):
        while True:
            git.requests.clear()
            await asyncio.sleep(2)
            if not any("receive-pack" in one.path for one in git.requests):
                return
