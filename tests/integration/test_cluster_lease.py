"""Of two replicas one watches, also for syncs that fall to the other one: on both clusters."""

import asyncio
from typing import Any

import pytest

from services.cluster_applier.elsewhere import EXPLAINED
from shared.contract import DriftCorrected, WorkloadChanged
from tests.integration.applier_stage import ON_BOTH, Stage, config_map, parted
from tests.integration.test_cluster_applier_care import deployment

CLAIM = "fluxcd.io/claimed-by"

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240), ON_BOTH]


async def holder(stage: Stage) -> str:
    path = f"apis/coordination.k8s.io/v1/namespaces/{stage.namespace}-flux/leases"
    _, found = await stage.kube.call("GET", f"{path}/flux-cluster-applier-default")
    return str((found.get("spec") or {}).get("holderIdentity") or "")


async def wait_holder(stage: Stage, before: str = "") -> str:
    async with asyncio.timeout(30):
        while (found := await holder(stage)) in {"", before}:
            await asyncio.sleep(0.05)
    return found


async def claim(stage: Stage) -> str:
    found = await stage.kube.get("ConfigMap", "flux-inventory-apps", f"{stage.namespace}-flux")
    assert found is not None
    return str(found["data"]["claim"])


def maps(k: str) -> str:
    return "".join(config_map(f"m{number}", k=k) for number in range(12))


async def drifted(stage: Stage) -> list[Any]:
    return [one for one in stage.told if isinstance(one, DriftCorrected)]


async def test_drift_is_put_back_by_one_replica_that_another_has_seen(stage: Stage) -> None:
    async with stage.applying(idle=True):
        watcher = await wait_holder(stage)
        async with stage.applying():
            await stage.declare(maps("1"))
            await stage.completed()
            assert await claim(stage) != watcher == await holder(stage)
            begun = asyncio.get_running_loop().time()
            await stage.kube.merge("ConfigMap", "m3", {"data": {"k": "x"}}, stage.namespace)
            await stage.wait_data("m3", {"k": "1"})
            assert asyncio.get_running_loop().time() - begun < EXPLAINED
            assert (await stage.wait(DriftCorrected)).manager == "kubectl-edit"
            await stage.kube.delete("ConfigMap", "m4", stage.namespace)
            await stage.wait_data("m4", {"k": "1"})
            assert (await stage.wait(DriftCorrected)).what == "deleted"
            # What another replica applies is no drift to who watches, however long it looks.
            await asyncio.sleep(1.1)
            await stage.declare(maps("2"))
            assert (await stage.completed()).counts == {"configured": 12}
            await asyncio.sleep(EXPLAINED + 1)
            assert await drifted(stage) == []


async def test_who_does_not_watch_looks_whether_an_object_is_to_be_left_alone(
    stage: Stage,
) -> None:
    async with stage.applying(idle=True):
        await wait_holder(stage)
        async with stage.applying():
            await stage.declare(config_map("a", k="1") + config_map("b", k="1"))
            await stage.completed()
            ignore = {"metadata": {"annotations": {"fluxcd.io/ignore": "true"}}}
            await stage.kube.merge("ConfigMap", "a", ignore, stage.namespace)
            await stage.declare(config_map("a", k="2") + config_map("b", k="2"))
            assert (await stage.completed()).counts == {"configured": 1, "skipped": 1}
            assert await stage.data("a") == {"k": "1"}


async def test_status_is_told_once_with_the_sync_of_the_other_replica(stage: Stage) -> None:
    async with stage.applying(idle=True):
        await wait_holder(stage)
        async with stage.applying():
            await stage.declare(deployment(replicas=0))
            await stage.completed()
            name = f"{stage.namespace}:deployment/web"
            await stage.wait(
                WorkloadChanged,
                lambda one: (one.id, one.sync, one.health) == (name, "apps", "ready"),
            )
            await asyncio.sleep(0.5)
            ready = [
                one
                for one in stage.told
                if isinstance(one, WorkloadChanged) and (one.id, one.health) == (name, "ready")
            ]
            assert not ready, "told again by the replica that does not hold the Lease"


async def test_another_takes_over_when_who_watches_dies_and_finds_what_happened_meanwhile(
    stage: Stage,
) -> None:
    async with stage.applying():
        async with stage.applying(idle=True, dies=True):
            await stage.declare(config_map("a", k="1") + config_map("b", k="1"))
            await stage.completed()
            dead = await wait_holder(stage)
        await stage.kube.merge("ConfigMap", "a", {"data": {"k": "x"}}, stage.namespace)
        await stage.wait_data("a", {"k": "1"})
        await wait_holder(stage, before=dead) if dead != await claim(stage) else None
        await stage.kube.merge("ConfigMap", "a", {"data": {"k": "y"}}, stage.namespace)
        await stage.wait_data("a", {"k": "1"})


async def test_the_first_owner_keeps_an_object_that_another_replica_is_told_to_apply(
    stage: Stage,
) -> None:
    async with parted(stage) as other, stage.applying(), other.applying():
        await other.declare(config_map("b", k="1"), sync="other")
        await other.completed()
        await stage.declare(config_map("a", k="first"))
        await stage.completed()
        await other.declare(config_map("a", k="second") + config_map("b", k="1"), sync="other")
        done = await other.completed()
        assert done.counts == {"failed": 1, "unchanged": 1}
        assert "declared by the sync apps already" in done.problems[0].message
        assert await stage.data("a") == {"k": "first"}
        # Each tells what the other one wrote from what it wrote itself without reading it.
        kept = await stage.kube.list("ConfigMap", f"{stage.namespace}-flux")
        labels = [one["metadata"].get("labels") or {} for one in kept]
        assert len({one[CLAIM] for one in labels if CLAIM in one}) == 2
