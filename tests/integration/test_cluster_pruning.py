"""What of a cluster is deleted, what waits for a person, and what never goes: on both clusters."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox.cluster import Cluster, cluster
from sandbox.progress import silent
from shared.contract import Draft, SyncCompleted, SyncRequested
from tests.integration.applier_stage import Stage, config_map, staged

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]


@pytest.fixture(scope="module", params=["emulator", "real"])
async def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cluster]:
    directory: Path = tmp_path_factory.mktemp("cluster")
    async with cluster(directory, request.param, say=silent) as found:
        yield found


@pytest.fixture
async def stage(place: Cluster, tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(place, tmp_path) as found:
        yield found


def maps(names: str, k: str = "1") -> str:
    return "".join(config_map(name, k=k) for name in names)


async def there(stage: Stage) -> str:
    found = await stage.kube.list("ConfigMap", stage.namespace)
    return "".join(
        sorted(one["metadata"]["name"] for one in found if len(one["metadata"]["name"]) == 1)
    )


async def allow(stage: Stage, revision: str) -> None:
    signal = SyncRequested(sync="apps", reason="person", allow_prune=revision)
    await stage.bus.publish(Draft(message=signal))


async def told(stage: Stage) -> SyncCompleted:
    found: SyncCompleted = await stage.wait(SyncCompleted)
    return found


async def test_a_push_that_takes_most_away_is_held_until_a_person_allows_it(stage: Stage) -> None:
    async with stage.applying():
        await stage.declare(maps("abcd"))
        await stage.completed()
        await stage.declare(maps("dpqr", k="2"))
        done = await stage.completed()
        assert done.counts == {"configured": 1, "created": 3}
        assert (done.pruned, done.prune_held) == (False, 3)
        assert "takes away 3 of 4 objects" in done.prune_reason
        held = stage.revisions[-1]
        # New objects, and a new process, do not make it look like less.
        await stage.declare(maps("dpqrstv", k="2"))
        assert (await stage.completed()).prune_held == 3
    async with stage.applying():
        await allow(stage, held)
        done = await told(stage)
        assert done.prune_held == 3, "an older revision was allowed, not this one"
        assert await there(stage) == "abcdpqrstv"
        await allow(stage, stage.revisions[-1])
        done = await told(stage)
        assert (done.counts["deleted"], done.prune_held, done.pruned) == (3, 0, True)
        assert await there(stage) == "dpqrstv"
        await stage.declare(maps("dpqrs", k="2"))
        assert (await stage.completed()).counts == {"deleted": 2, "unchanged": 5}


async def test_a_push_that_is_taken_back_deletes_nothing_and_leaves_no_trace(stage: Stage) -> None:
    async with stage.applying():
        await stage.declare(maps("abcd"))
        await stage.completed()
        await stage.declare("")
        done = await stage.completed()
        assert (done.pruned, done.prune_held) == (False, 4)
        assert "everything (4 objects)" in done.prune_reason
        await stage.declare(maps("abc"))
        assert (await stage.completed()).counts == {"deleted": 1, "unchanged": 3}
        assert await there(stage) == "abc"


async def test_the_share_is_configured_and_everything_is_held_all_the_same(
    place: Cluster, tmp_path: Path
) -> None:
    async with staged(place, tmp_path, prune_limit=1.0) as stage, stage.applying():
        await stage.declare(maps("abcd"))
        await stage.completed()
        await stage.declare(maps("a"))
        assert (await stage.completed()).counts == {"deleted": 3, "unchanged": 1}
        await stage.declare(maps("b"))
        assert (await stage.completed()).prune_held == 1
        assert await there(stage) == "ab"


@pytest.mark.parametrize("prune", [True, False])
async def test_a_dry_run_tells_what_would_go_and_deletes_nothing(
    place: Cluster, tmp_path: Path, *, prune: bool
) -> None:
    async with staged(place, tmp_path, prune=prune, prune_dry_run=True) as stage, stage.applying():
        await stage.declare(maps("abcd"))
        await stage.completed()
        await stage.declare(maps("a"))
        done = await stage.completed()
        assert (done.pruned, done.counts) == (False, {"skipped": 3, "unchanged": 1})
        assert "prune_dry_run is on" in done.prune_reason
        assert {one.message for one in done.objects} == {"would be deleted; prune_dry_run is on"}
        assert await there(stage) == "abcd"
