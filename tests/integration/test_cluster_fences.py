"""Two appliers at once, as a cut or a frozen process makes them: the older one does no harm."""

import asyncio
from collections.abc import Iterable, Iterator

import pytest

from shared.contract import DependencyDown
from shared.runtime import faults
from tests.integration.applier_stage import ON_BOTH, Stage, config_map, parted

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240), ON_BOTH]


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
        async with asyncio.timeout(30):
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


NAMES = ("b", "c", "d", "e", "f")


def several(names: Iterable[str], k: str) -> str:
    return "".join(config_map(name, k=k) for name in names)


async def uids(stage: Stage) -> dict[str, str]:
    found = await stage.kube.list("ConfigMap", stage.namespace)
    return {
        one["metadata"]["name"]: one["metadata"]["uid"]
        for one in found
        if len(one["metadata"]["name"]) == 1
    }


@pytest.mark.parametrize(
    "point",
    [
        *("inventory.before", "inventory.after", "apply.before", "apply.after@3", "apply.after@6"),
        *("delete.before", "delete.after", "publish.before", "publish.after"),
        *("inventory.before@2", "inventory.after@2"),
    ],
)
async def test_who_dies_between_any_two_objects_leaves_what_the_next_one_completes(
    stage: Stage, point: str
) -> None:
    name, _, count = point.partition("@")
    async with stage.applying():
        await stage.declare(several(("a", *NAMES), "1"))
        await stage.completed()
        before = await uids(stage)
        await asyncio.sleep(1.1)  # managedFields tell times in seconds
    async with stage.applying(dies=True):
        faults.arm(f"{name}=delay:600@{count or 1}")
        await stage.declare(several((*NAMES, "g"), "2"))
        async with asyncio.timeout(30):
            while faults.armed():
                await asyncio.sleep(0.01)
    async with stage.applying():
        for one in (*NAMES, "g"):
            await stage.wait_data(one, {"k": "2"})
        await stage.wait_data("a", None)
        await stage.completed()  # also where it died between telling that and writing it down
    after = await uids(stage)
    assert after.keys() == {*NAMES, "g"}
    assert {one: after[one] for one in NAMES} == {one: before[one] for one in NAMES}


async def test_an_inventory_that_goes_while_it_is_used_is_made_anew(stage: Stage) -> None:
    async with stage.applying():
        await stage.declare(several(("a", *NAMES), "1"))
        await stage.completed()
        before = await uids(stage)
        await stage.inventory()
        await stage.kube.delete("ConfigMap", "flux-inventory-apps", f"{stage.namespace}-flux")
        await asyncio.sleep(2.1)  # from then on it is asked whether it is still as it was
        await stage.declare(several(("a", *NAMES), "2"))
        for one in ("a", *NAMES):
            await stage.wait_data(one, {"k": "2"})
        await stage.declare(several(NAMES, "2"))
        await stage.wait_data("a", None)
    after = await uids(stage)
    assert after == {one: before[one] for one in NAMES}
