"""What becomes of a sync that flux.yaml names no more: on the real control plane."""

import asyncio
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from sandbox.cluster import Cluster
from services.cluster_applier.domain.inventory import Inventory, decoded
from shared.config.model import Config
from shared.contract import Draft, SuspendRequested
from shared.runtime import faults
from tests.integration.accounts import grant
from tests.integration.applier_stage import Stage, config_map, staged

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]

Logs = Sequence[MutableMapping[str, Any]]
INVENTORY = "flux-inventory-apps"


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    faults.arm("")


@pytest.fixture
def logs() -> Iterator[Logs]:
    with capture_logs() as found:
        yield found


def maps(names: str) -> str:
    return "".join(config_map(name, k="1") for name in names)


def file(config: Config, generation: int, *names: str, marked: bool = True) -> Config:
    """Return the same file with another generation, that names these syncs."""
    syncs = [one for one in config.syncs if one.name in names]
    syncs = [one.model_copy(update={"prune_on_removal": marked}) for one in syncs]
    return config.model_copy(update={"generation": generation, "syncs": tuple(syncs)})


async def applied(
    stage: Stage, declared: str = "abc", *, more: str = "", marked: bool = True
) -> Config:
    """Apply both syncs by generation 5; return the file of generation 6, without the first."""
    whole = stage.config
    stage.config = file(whole, 5, "apps", "other", marked=marked)
    async with stage.applying():
        await stage.declare(maps(declared), generation=5)
        await stage.completed()
        await stage.inventory()
        await stage.declare(maps("z") + more, sync="other", generation=6)
        await stage.completed()
        await stage.inventory("other")
    return file(whole, 6, "other")


async def uids(stage: Stage) -> dict[str, str]:
    found = [one["metadata"] for one in await stage.kube.list("ConfigMap", stage.namespace)]
    return {one["name"]: one["uid"] for one in found if len(one["name"]) == 1}


async def inventory(stage: Stage) -> Inventory | None:
    found = await stage.kube.get("ConfigMap", INVENTORY, f"{stage.namespace}-flux")
    return decoded(found["data"]) if found else None


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.02)


async def removed(stage: Stage) -> None:
    async with asyncio.timeout(30):
        while await inventory(stage) is not None:
            await asyncio.sleep(0.05)


def said(logs: Logs, event: str, reason: str) -> bool:
    return any(one["event"] == event and reason in one.get("reason", "") for one in logs)


async def by_hand(stage: Stage, name: str) -> None:
    """Make an object anew, as somebody else."""
    await stage.kube.delete("ConfigMap", name, stage.namespace)
    path = f"api/v1/namespaces/{stage.namespace}/configmaps"
    await stage.kube.call("POST", path, {"metadata": {"name": name}, "data": {"k": "mine"}})


async def test_what_a_marked_sync_applied_goes_with_it_and_nothing_else(stage: Stage) -> None:
    without = await applied(stage, "abcd")
    await by_hand(stage, "b")
    before = await uids(stage)
    stage.config = without
    async with stage.applying():
        await removed(stage)
    assert await uids(stage) == {name: before[name] for name in "bz"}


@pytest.mark.parametrize(
    ("marked", "generation", "reason"),
    [
        (False, 6, "prune_on_removal was off"),
        (True, 5, "generation 5 of flux.yaml is not newer than 5"),
        (True, 4, "generation 4 of flux.yaml is not newer than 5"),
        (True, 0, "this flux.yaml has no generation"),
    ],
)
async def test_all_stays_that_was_not_marked_or_that_no_newer_file_removes(
    stage: Stage, logs: Logs, *, marked: bool, generation: int, reason: str
) -> None:
    without = await applied(stage, marked=marked)
    before = await uids(stage), await inventory(stage)
    dated = file(without, 0, "other").dated(2_000_000_000)
    stage.config = file(without, generation, "other") if generation else dated
    async with stage.applying():
        await until(lambda: said(logs, "sync left as it is", reason))
        await asyncio.sleep(0.3)
    assert (await uids(stage), await inventory(stage)) == before


@pytest.mark.parametrize("others", ["abcz", "bcz"])
async def test_what_another_sync_declares_or_owns_by_then_keeps_its_identity(
    stage: Stage, logs: Logs, others: str
) -> None:
    without = await applied(stage)
    before = await uids(stage)
    # The newer file is known here before it is anywhere else: nobody has declared by it yet.
    stage.config = file(without, 7, "other")
    async with stage.applying():
        late = "the sync other is not declared yet by generation 7"
        await until(lambda: said(logs, "sync not removed", late))
        assert await uids(stage) == before
        await stage.declare(maps(others), sync="other", generation=7)
        await removed(stage)
    after = await uids(stage)
    assert after == {name: uid for name, uid in before.items() if name in others}


IGNORED = config_map("b", k="1").replace(
    "{name: b}", '{name: b, annotations: {fluxcd.io/ignore: "true"}}'
)


async def test_what_another_sync_declares_and_does_not_own_stays(stage: Stage) -> None:
    without = await applied(stage, "ab", more=IGNORED)
    before = await uids(stage)
    stage.config = without
    async with stage.applying():
        await removed(stage)
    assert await uids(stage) == {name: before[name] for name in "bz"}


async def test_what_any_other_inventory_names_stays_though_its_sync_has_left_too(
    stage: Stage,
) -> None:
    without = await applied(stage)
    before, found = await uids(stage), await inventory(stage)
    assert found is not None
    name = f"ConfigMap {stage.namespace}/b"
    left = {"sync": "left", "removal": None, "objects": {name: found.objects[name]}}
    body = {
        "metadata": {
            "name": "flux-inventory-left",
            "labels": {"app.kubernetes.io/managed-by": "flux"},
        },
        "data": found.model_copy(update=left).encoded(),
    }
    await stage.kube.call("POST", f"api/v1/namespaces/{stage.namespace}-flux/configmaps", body)
    stage.config = without
    async with stage.applying():
        await removed(stage)
    assert await uids(stage) == {one: before[one] for one in "bz"}


async def test_nothing_goes_while_a_part_of_another_sync_can_not_be_read(
    stage: Stage, logs: Logs
) -> None:
    without = await applied(stage)
    before = await uids(stage)
    stage.config = file(without, 7, "other")
    async with stage.applying():
        broken = {"b.yaml": "a: [\n"}
        await stage.declare(maps("z"), sync="other", files=broken, generation=7)
        await until(lambda: said(logs, "sync not removed", "not all of the sync other can be read"))
        assert await uids(stage) == before


@pytest.mark.parametrize(
    "point",
    [
        *("delete.before", "delete.after@3"),
        *("inventory.after", "inventory.before@2", "inventory.after@2"),
    ],
)
async def test_who_dies_at_any_step_leaves_what_the_next_one_completes(
    stage: Stage, point: str
) -> None:
    name, _, count = point.partition("@")
    without = await applied(stage)
    before = await uids(stage)
    stage.config = without
    async with stage.applying(dies=True):
        faults.arm(f"{name}=delay:600@{count or 1}")
        await until(lambda: not faults.armed())
    await forget_lease(stage)
    async with stage.applying():
        await removed(stage)
        await until_only(stage, {"z": before["z"]})


async def forget_lease(stage: Stage) -> None:
    """Let the next one not wait until the Lease of who died is over."""
    path = f"apis/coordination.k8s.io/v1/namespaces/{stage.namespace}-flux/leases"
    await stage.kube.call("DELETE", f"{path}/flux-cluster-applier-default")


async def until_only(stage: Stage, wanted: dict[str, str]) -> None:
    async with asyncio.timeout(30):
        while await uids(stage) != wanted:
            await asyncio.sleep(0.05)


async def test_nothing_goes_while_another_sync_is_not_applied_as_it_is_declared(
    stage: Stage, logs: Logs
) -> None:
    without = await applied(stage)
    before = await uids(stage)
    stage.config = file(without, 7, "other")
    async with stage.applying():
        await stage.bus.publish(Draft(message=SuspendRequested(sync="other")))
        await stage.declare(maps("z"), sync="other", generation=7)
        late = "the sync other is not applied yet as it is declared"
        await until(lambda: said(logs, "sync not removed", late))
        assert await uids(stage) == before


async def test_what_is_to_be_kept_keeps_the_inventory_until_it_may_go(
    stage: Stage, logs: Logs
) -> None:
    without = await applied(stage)
    ignored = {"metadata": {"annotations": {"fluxcd.io/ignore": "true"}}}
    await stage.kube.merge("ConfigMap", "b", ignored, stage.namespace)
    stage.config = without
    async with stage.applying():
        stays = "1 objects stay, 2 were deleted; ConfigMap"
        await until(lambda: said(logs, "sync not removed", stays))
        assert (await uids(stage)).keys() == {"b", "z"}
        left = await inventory(stage)
        assert left is not None
        assert left.objects.keys() == {f"ConfigMap {stage.namespace}/b"}
        gone = {"metadata": {"annotations": {"fluxcd.io/ignore": None}}}
        await stage.kube.merge("ConfigMap", "b", gone, stage.namespace)
        await removed(stage)
        assert (await uids(stage)).keys() == {"z"}


async def test_a_removed_sync_can_delete_no_more_than_its_account(
    place: Cluster, tmp_path: Path, logs: Logs
) -> None:
    async with staged(place, tmp_path, service_account="{}/team") as stage:
        verbs = ["get", "create", "patch"]
        rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs}]
        await grant(stage, "team", rules)
        stage.config = await applied(stage)
        async with stage.applying():
            await until(lambda: said(logs, "sync not removed", "3 objects stay, 0 were deleted"))
        user = f'User "system:serviceaccount:{stage.namespace}:team" cannot delete'
        assert said(logs, "sync not removed", user)
        assert (await uids(stage)).keys() == {*"abcz"}


async def test_the_last_word_of_the_file_counts_also_of_a_sync_that_rests(stage: Stage) -> None:
    whole = stage.config
    await applied(stage)
    stage.config = file(whole, 6, "apps", "other")
    async with stage.applying():
        await stage.bus.publish(Draft(message=SuspendRequested(sync="apps")))
        await noted(stage, lambda one: bool(one.suspended and one.removal))
    stage.config = file(whole, 7, "apps", "other", marked=False)
    async with stage.applying():
        await noted(stage, lambda one: one.removal is None)


async def noted(stage: Stage, holds: Callable[[Inventory], bool]) -> None:
    async with asyncio.timeout(30):
        while not (found := await inventory(stage)) or not holds(found):
            await asyncio.sleep(0.05)
