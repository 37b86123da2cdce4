"""What of a cluster is deleted, what waits for a person, and what never goes: on both clusters."""

from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.cluster import Cluster
from services.cluster_applier.domain.inventory import Applied, decoded
from shared.contract import Draft, SyncCompleted, SyncFailed, SyncRequested
from shared.manifests import ObjectId
from shared.manifests.marks import CHECKSUM, MARK, mark
from tests.integration.applier_stage import ON_BOTH, Stage, config_map, parted, staged

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240), ON_BOTH]


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


async def test_a_second_flux_of_the_same_repository_takes_nothing_from_the_first(
    stage: Stage,
) -> None:
    async with stage.applying():
        await stage.declare(maps("abcd"))
        await stage.completed()
    second = f"{stage.namespace}-second"
    targets = [stage.config.targets[0].model_copy(update={"namespace": second})]
    other = replace(stage, config=stage.config.model_copy(update={"targets": targets}), told=[])
    async with parted(other) as other, other.applying():
        await other.declare(maps("mp"))
        done = await other.completed()
        assert (done.counts, done.prune_held) == ({"created": 2}, 0)
        await allow(other, other.revisions[-1])
        await told(other)
        assert await there(stage) == "abcdmp"


INVENTORY = "flux-inventory-apps"


async def change_inventory(stage: Stage, **data: str | None) -> None:
    await stage.kube.merge("ConfigMap", INVENTORY, {"data": data}, f"{stage.namespace}-flux")


async def test_what_left_git_while_the_inventory_was_lost_is_found_by_its_marks(
    stage: Stage,
) -> None:
    async with stage.applying():
        await stage.declare(maps("abcd"))
        await stage.completed()
    copied = await stage.kube.get("ConfigMap", "a", stage.namespace)
    assert copied is not None
    labels = copied["metadata"]["labels"]
    value = {"metadata": {"name": "z", "labels": labels}, "data": {"k": "mine"}}
    await stage.kube.call("POST", f"api/v1/namespaces/{stage.namespace}/configmaps", value)
    await stage.kube.delete("ConfigMap", INVENTORY, f"{stage.namespace}-flux")
    async with stage.applying():
        await stage.declare(maps("abc"))
        done = await stage.completed()
        assert (done.counts, done.prune_held) == ({"configured": 3, "skipped": 2}, 1)
        kept, note = (one for one in done.objects if one.action == "skipped")
        assert "its mark alone says that it is ours" in kept.message
        assert "no inventory named 1 objects that carry our marks" in note.message
        assert await there(stage) == "abcdz"
    async with stage.applying():
        await allow(stage, stage.revisions[-1])
        assert (await told(stage)).counts["deleted"] == 1
        assert await there(stage) == "abcz"


async def test_after_a_lost_inventory_most_of_a_sync_is_held_as_ever(stage: Stage) -> None:
    async with stage.applying():
        await stage.declare(maps("abcd"))
        await stage.completed()
    await stage.kube.delete("ConfigMap", INVENTORY, f"{stage.namespace}-flux")
    async with stage.applying():
        await stage.declare(maps("a"))
        assert (await stage.completed()).prune_held == 3
        assert await there(stage) == "abcd"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"inventory": "AAAA"}, "the inventory was begun anew"),
        ({"inventory": None}, "the inventory was begun anew"),
    ],
)
async def test_an_inventory_that_was_edited_is_told_and_nothing_is_wrongly_deleted(
    stage: Stage, data: dict[str, str | None], said: str
) -> None:
    async with stage.applying():
        await stage.declare(maps("abcd"))
        await stage.completed()
    await change_inventory(stage, **data)
    async with stage.applying():
        await stage.declare(maps("abcd"))
        done = await stage.completed()
        assert done.counts == {"configured": 4, "skipped": 1}
        assert any(said in one.message for one in done.objects)
        await stage.declare(maps("abc"))
        assert (await stage.completed()).counts == {"deleted": 1, "unchanged": 3}


async def test_an_inventory_of_a_newer_flux_stops_the_sync_and_is_left_as_it_is(
    stage: Stage,
) -> None:
    async with stage.applying():
        await stage.declare(maps("abcd"))
        await stage.completed()
    await change_inventory(stage, format="99")
    before = await stage.kube.get("ConfigMap", INVENTORY, f"{stage.namespace}-flux")
    async with stage.applying():
        await stage.declare(maps("a", k="2"))
        assert "written by a newer Flux" in (await stage.wait(SyncFailed)).reason
        assert await there(stage) == "abcd"
        after = await stage.kube.get("ConfigMap", INVENTORY, f"{stage.namespace}-flux")
        assert after == before
    # What it names is unknown to us: while it is there, nothing is found by marks.
    await stage.kube.delete("ConfigMap", INVENTORY, f"{stage.namespace}-flux")


async def test_an_inventory_that_names_what_others_made_deletes_none_of_it(stage: Stage) -> None:
    path = f"api/v1/namespaces/{stage.namespace}/configmaps"
    await stage.kube.call("POST", path, {"metadata": {"name": "z"}, "data": {"k": "mine"}})
    theirs = await stage.kube.get("ConfigMap", "z", stage.namespace)
    assert theirs is not None
    async with stage.applying():
        await stage.declare(maps("abcd"))
        await stage.completed()
    found = await stage.kube.get("ConfigMap", INVENTORY, f"{stage.namespace}-flux")
    assert found is not None
    known = decoded(found["data"])
    named = {f"ConfigMap {stage.namespace}/z": Applied(uid=theirs["metadata"]["uid"], digest="d")}
    forged = known.model_copy(update={"objects": {**known.objects, **named}})
    await change_inventory(stage, **forged.encoded())
    async with stage.applying():
        await stage.declare(maps("abc"))
        assert (await stage.completed()).counts == {"deleted": 1, "skipped": 1, "unchanged": 3}
        assert await there(stage) == "abcz"


BY_GO = {
    "a": "737d79e13f4732951b3955509d8b7c57f48dd907",
    "b": "179c85b54ccf3e9e5ceb164b12f02e98837be774",
    "c": "51e8cdf98fd0b8f6f9c182f289e9eaddf66a45d8",
    "d": "32a6ace75201af9221b1c62df5cb45d76dc3fef3",
}
CHANGED = {
    "a": "74b130d5320219d679f6ab0bac267dd610deabf7",
    "b": "d0a378e7a2a6f8eebe283f9cdbad850e69029cb9",
    "c": "c449aade4f9a1d5d010fb6de8920b041cc3a3c2c",
}
"""Checksums of `maps` with the values 1 and 2, as Go 1.26 and go-yaml v2.4.0 make them."""


async def checksums(stage: Stage) -> dict[str, str]:
    found = await stage.kube.list("ConfigMap", stage.namespace)
    metadata = {one["metadata"]["name"]: one["metadata"] for one in found}
    return {name: metadata[name]["annotations"][CHECKSUM] for name in "abcd"}


async def test_a_cluster_that_fluxd_ran_loses_nothing_until_a_person_says_so(
    stage: Stage,
) -> None:
    """
    What fluxd's kubectl applied carries its mark and checksum; git has only half of it left.

    The checksums are go-yaml's: they are the same afterwards, so fluxd would find its own again.
    """
    path = f"api/v1/namespaces/{stage.namespace}/configmaps"
    for name in "abcd":
        named = ObjectId.parse(f"ConfigMap {stage.namespace}/{name}")
        metadata = {
            "name": name,
            "labels": {MARK: mark(stage.mark_set("apps"), named.workload)},
            "annotations": {CHECKSUM: BY_GO[name]},
        }
        value = {"metadata": metadata, "data": {"k": "1"}}
        manager = "kubectl-client-side-apply"
        status, _ = await stage.kube.call("POST", path, value, fieldManager=manager)
        assert status == 201
    async with stage.applying():
        await stage.declare(maps("abc"))
        done = await stage.completed()
        assert done.counts["configured"] == 3
        assert "deleted" not in done.counts
        assert any("its mark alone says that it is ours" in it.message for it in done.objects)
        assert await checksums(stage) == BY_GO
        await stage.declare(maps("abc", k="2"))
        assert "deleted" not in (await stage.completed()).counts
        assert await checksums(stage) == {**BY_GO, **CHANGED}
        assert await there(stage) == "abcd"
        await allow(stage, stage.revisions[-1])
        assert (await told(stage)).counts["deleted"] == 1
        assert await there(stage) == "abc"


async def test_a_namespace_goes_with_what_others_made_only_where_it_says_so(stage: Stage) -> None:
    name = f"{stage.namespace}-own"
    namespace = f"---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n"
    async with stage.applying():
        await stage.declare(namespace + maps("ab"))
        await stage.completed()
        path = f"api/v1/namespaces/{name}/configmaps"
        await stage.kube.call("POST", path, {"metadata": {"name": "theirs"}})
        await stage.declare(maps("ab"))
        done = await stage.completed()
        assert done.counts == {"skipped": 1, "unchanged": 2}
        (kept,) = done.objects
        assert "annotate it with fluxcd.io/prune: with-contents" in kept.message
        whole = {"metadata": {"annotations": {"fluxcd.io/prune": "with-contents"}}}
        await stage.kube.merge("Namespace", name, whole)
        await stage.declare(maps("ab"))
        assert (await stage.completed()).counts == {"deleted": 1, "unchanged": 2}
