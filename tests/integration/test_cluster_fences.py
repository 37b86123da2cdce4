"""Two appliers at once, as a cut or a frozen process makes them: the older one does no harm."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sandbox.cluster import Cluster, cluster
from sandbox.progress import silent
from shared.contract import DependencyDown
from shared.runtime import faults
from tests.integration.applier_stage import Stage, config_map, parted, staged

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


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    faults.arm("")


async def written(stage: Stage) -> list[tuple[str, str]]:
    """Return which objects there are, and which writes they had: uid and resourceVersion."""
    found = [await stage.kube.get("ConfigMap", name, stage.namespace) for name in "abc"]
    metadata = [one["metadata"] for one in found if one]
    return [(one["uid"], one["resourceVersion"]) for one in metadata]


FIRST = config_map("a", k="1") + config_map("b", k="1") + config_map("c", k="1")
OLDER = config_map("a", k="2") + config_map("b", k="2")
NEWER = config_map("a", k="3") + config_map("b", k="1") + config_map("c", k="1")


@pytest.mark.parametrize("place_of_sleep", ["apply.before", "inventory.before", "delete.before"])
async def test_who_slept_while_another_went_on_changes_and_deletes_nothing_more(
    stage: Stage, place_of_sleep: str
) -> None:
    async with parted(stage) as other, stage.applying():
        await stage.declare(FIRST)
        await stage.completed()
        await asyncio.sleep(1.1)  # managedFields tell times in seconds
        faults.arm(f"{place_of_sleep}=delay:8")
        await stage.declare(OLDER)
        async with asyncio.timeout(10):
            while faults.armed():
                await asyncio.sleep(0.01)

        async with other.applying():
            await other.declare(NEWER)
            for name, value in (("a", "3"), ("b", "1"), ("c", "1")):
                await other.wait_data(name, {"k": value})
            await other.completed()
            before = await written(stage)
            down = await stage.wait(DependencyDown)
            assert "another applier wrote it" in down.reason
            await asyncio.sleep(0.5)
            assert await written(stage) == before
