"""Who is not the only one any more writes nothing, and deletes nothing that others changed."""

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from services.cluster_applier.domain.inventory import (
    FORMAT,
    KEY,
    Applied,
    Inventory,
    NewerFormatError,
    decoded,
)
from services.cluster_applier.inventory_store import InventoryStore
from shared.runtime.errors import PermanentError, TemporaryError
from tests.unit.cluster_applier.fakes import FakeApi, owned, serving
from tests.unit.cluster_applier.test_pruning import MAPS, pruning, serves

AT = "/api/v1/namespaces/flux-system/configmaps/flux-inventory-apps"
A = {"ConfigMap n/a": Applied(uid="uid-a", fields="f")}


def stored(version: str, **data: str) -> tuple[int, Any]:
    held = {**Inventory(sync="apps").encoded(), **data}
    return 200, {"metadata": {"resourceVersion": version}, "data": held}


async def test_who_finds_that_another_applier_wrote_stops_before_the_next_object(
    tmp_path: Path,
) -> None:
    api = FakeApi()
    api.on("GET", AT, stored("1"))
    api.on("PATCH", f"{MAPS}/a", (200, {"metadata": owned("a")}))
    async with serving(api, tmp_path) as kube:
        store = InventoryStore(kube, "flux-system", "us")

        async def still_ours() -> None:
            await store.confirm("apps", at_most=0.0)

        await store.load("apps")
        fenced = kube.fenced(still_ours)
        assert (await fenced.apply(f"{MAPS}/a", b"{}")).ok
        api.on("GET", AT, stored("2"))
        with pytest.raises(TemporaryError, match="another applier wrote it"):
            await fenced.apply(f"{MAPS}/a", b"{}")
        assert (await fenced.look(AT)).ok  # to read does no harm

    assert api.count("PATCH", f"{MAPS}/a") == 1
    assert fenced.requests == kube.requests > 1


async def test_a_deletion_names_what_was_looked_at_and_looks_anew_where_it_changed(
    tmp_path: Path,
) -> None:
    api, tried = FakeApi(), list[Any]()
    serves(api)
    api.on("GET", f"{MAPS}/a", (200, {"metadata": owned("a", resourceVersion="5")}))

    async def delete(request: web.Request) -> web.Response:
        tried.append(json.loads(await request.read())["preconditions"])
        if len(tried) == 1:
            api.on("GET", f"{MAPS}/a", (200, {"metadata": owned("a", resourceVersion="6")}))
            return web.json_response({"message": "modified"}, status=409)
        return web.json_response({})

    api.on("DELETE", f"{MAPS}/a", delete)
    async with serving(api, tmp_path) as kube:
        round_ = pruning(kube)
        await round_.delete(A.items())

    assert tried == [
        {"uid": "uid-a", "resourceVersion": "5"},
        {"uid": "uid-a", "resourceVersion": "6"},
    ]
    assert [one.action for one in round_.results] == ["deleted"]


async def test_what_became_anothers_between_look_and_deletion_is_left_alone(
    tmp_path: Path,
) -> None:
    api = FakeApi()
    serves(api)
    api.on("GET", f"{MAPS}/a", (200, {"metadata": owned("a")}))

    async def delete(_: web.Request) -> web.Response:
        api.on("GET", f"{MAPS}/a", (200, {"metadata": owned("a", ownerReferences=[{}])}))
        return web.json_response({"message": "modified"}, status=409)

    api.on("DELETE", f"{MAPS}/a", delete)
    async with serving(api, tmp_path) as kube:
        round_ = pruning(kube)
        await round_.delete(A.items())

    assert api.count("DELETE", f"{MAPS}/a") == 1
    assert [one.message for one in round_.kept] == [
        "it has an owner in the cluster, and goes with it"
    ]
    assert not round_.forgotten


async def test_what_changes_all_the_time_is_given_up_for_now_and_stays_ours(
    tmp_path: Path,
) -> None:
    api = FakeApi()
    serves(api)
    api.on("GET", f"{MAPS}/a", (200, {"metadata": owned("a")}))
    api.on("DELETE", f"{MAPS}/a", (409, {"message": "modified"}))
    async with serving(api, tmp_path) as kube:
        round_ = pruning(kube)
        round_._ledger.claim(Inventory(sync="apps", objects=A))
        await round_.delete(A.items())

    assert api.count("DELETE", f"{MAPS}/a") == 5
    assert round_.unfinished
    assert not round_.forgotten
    assert round_._ledger.owner("ConfigMap n/a") == "apps"


async def test_an_inventory_of_a_newer_flux_is_neither_used_nor_overwritten(
    tmp_path: Path,
) -> None:
    api = FakeApi()
    api.on("GET", AT, stored("1", format=str(FORMAT + 1)))
    async with serving(api, tmp_path) as kube:
        store = InventoryStore(kube, "flux-system", "us")
        with pytest.raises(PermanentError, match=r"written by a newer Flux.*delete the ConfigMap"):
            await store.load("apps")


NO_ID = Inventory(sync="apps", objects={"nonsense": Applied()}).encoded()[KEY]


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", "eJx=", NO_ID])
async def test_an_inventory_that_was_edited_is_begun_anew_and_that_is_told(
    tmp_path: Path, text: str
) -> None:
    api = FakeApi()
    api.on("GET", AT, stored("1", **{KEY: text}))
    async with serving(api, tmp_path) as kube:
        found = await InventoryStore(kube, "flux-system", "us").load("apps")
    assert not found.objects
    assert "begun anew" in found.lost


def test_an_inventory_is_read_by_those_who_know_its_format_alone() -> None:
    kept = Inventory(sync="apps", revision="r", claim="us", objects=A)
    data = kept.encoded()
    assert decoded(data) == kept
    assert (data["format"], data["revision"], data["claim"]) == (str(FORMAT), "r", "us")
    assert decoded({KEY: data[KEY]}) == kept  # as older ones are
    with pytest.raises(NewerFormatError):
        decoded({**data, "format": str(FORMAT + 1)})


def test_what_inflates_without_end_is_no_inventory() -> None:

    bomb = base64.b64encode(zlib.compress(b" " * 70_000_000, 9)).decode()
    with pytest.raises(ValueError, match="larger than any inventory"):
        decoded({KEY: bomb})


async def test_of_a_sync_that_no_list_showed_nothing_is_asked_until_somebody_else_wrote_it(
    tmp_path: Path,
) -> None:
    api, collection = FakeApi(), AT.rpartition("/")[0]
    api.on("GET", collection, (200, {"items": []}))
    api.on("POST", collection, (409, {"message": "exists", "details": {"kind": "configmaps"}}))
    api.on("GET", AT, stored("7", claim="them"))
    async with serving(api, tmp_path) as kube:
        store = InventoryStore(kube, "flux-system", "us")
        assert await store.all() == []
        assert await store.load("apps") == Inventory(sync="apps")
        assert api.count("GET", AT) == 0
        with pytest.raises(TemporaryError, match="another applier wrote it"):
            await store.save(Inventory(sync="apps", claim="us"))
        await store.load("apps")
        assert api.count("GET", AT) == 1
        assert store.version("apps") == 7
