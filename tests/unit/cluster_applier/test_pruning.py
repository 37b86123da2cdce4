"""Pruning never goes by memory alone, and never forgets what it could not see."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from services.cluster_applier.discovery import Discovery
from services.cluster_applier.domain.drift import Drift
from services.cluster_applier.domain.inventory import Applied, Inventory
from services.cluster_applier.domain.ledger import Ledger
from services.cluster_applier.domain.ownership import ours
from services.cluster_applier.domain.pruning import Fate, Proof, is_flux_own, is_foreign, judged
from services.cluster_applier.drifting import Drifting
from services.cluster_applier.inventory_size import LARGEST
from services.cluster_applier.inventory_store import InventoryStore
from services.cluster_applier.kube import Kube
from services.cluster_applier.live import MOMENT, Live
from services.cluster_applier.prune import Pruning
from services.cluster_applier.webhooks import Webhooks
from shared.contract import SyncRequested
from shared.manifests import ObjectId
from shared.manifests.marks import MARK, mark
from shared.runtime.errors import PermanentError
from tests.unit.cluster_applier.fakes import FakeApi, FakeBus, listed, owned, serving

MAPS = "/api/v1/namespaces/n/configmaps"
VERBS = ["list", "watch", "get", "patch"]


def group(name: str, kind: str, plural: str, **version: Any) -> dict[str, Any]:
    resource = {"resource": plural, "responseKind": {"kind": kind}, "scope": "Namespaced"}
    found = {"version": "v1", "resources": [{**resource, "verbs": VERBS}], **version}
    return {"metadata": {"name": name}, "versions": [found]}


def serves(api: FakeApi, *groups: dict[str, Any]) -> None:
    for root, items in (("/api", [group("", "ConfigMap", "configmaps")]), ("/apis", list(groups))):
        api.on("GET", root, (200, {"kind": "APIGroupDiscoveryList", "items": items}))


def pruning(kube: Kube, discovery: Discovery | None = None) -> Pruning:
    return Pruning(
        kube,
        discovery or Discovery(kube),
        Ledger(),
        at_once=4,
        namespace="flux-system",
        webhooks=Webhooks(kube),
    )


@pytest.mark.parametrize(
    ("metadata", "applied", "fate"),
    [
        (None, Applied(uid="u"), Fate.FORGET),
        (owned("a", uid="u"), Applied(uid="u"), Fate.DELETE),
        (owned("a", uid="new"), Applied(uid="u"), Fate.FORGET),
        (owned("a", uid="u"), Applied(), Fate.DELETE),
        ({"uid": "u"}, Applied(), Fate.FORGET),
        (owned("a", uid="u", ownerReferences=[{}]), Applied(uid="u"), Fate.KEEP),
        *(
            (owned("a", uid="u", annotations={key: value}), Applied(uid="u"), Fate.KEEP)
            for key in ("fluxcd.io/ignore", "flux.weave.works/ignore")
            for value in ("true", "sync_only")
        ),
    ],
)
def test_only_what_is_ours_and_nobody_keeps_is_deleted(
    metadata: Any, applied: Applied, fate: Fate
) -> None:
    assert judged(A, metadata, applied, Proof()).fate is fate


A = ObjectId.parse("ConfigMap n/a")
OURS = {MARK: mark("set", A.workload)}
COPIED = {MARK: mark("set", ObjectId.parse("ConfigMap n/b").workload)}
BARE = {"uid": "u", "name": "a"}


@pytest.mark.parametrize(
    ("metadata", "applied", "fate"),
    [
        ({**BARE, "labels": OURS}, Applied(uid="u"), Fate.DELETE),
        ({**BARE, "labels": COPIED}, Applied(uid="u"), Fate.FORGET),
        (BARE, Applied(uid="u", fields="f"), Fate.FORGET),
        (owned("a", uid="u", labels=OURS), Applied(uid="u", fields="old"), Fate.DELETE),
        (owned("a", uid="u", labels=COPIED), Applied(uid="u", fields="old"), Fate.FORGET),
        ({**BARE, "labels": OURS}, Applied(uid="u", found=True), Fate.KEEP),
    ],
)
def test_what_nothing_proves_ours_any_more_is_forgotten(
    metadata: Any, applied: Applied, fate: Fate
) -> None:
    assert judged(A, metadata, applied, Proof(mark_set="set")).fate is fate


def test_a_label_that_git_itself_declares_is_no_sign_of_others() -> None:
    metadata = owned("a", uid="u", labels={MARK: "mine"})
    applied = Applied(uid="u", fields=ours(metadata))
    assert judged(A, metadata, applied, Proof(mark_set="set")).fate is Fate.DELETE


def test_what_is_known_by_its_mark_alone_goes_when_a_person_says_so() -> None:
    metadata, applied = {**BARE, "labels": OURS}, Applied(uid="u", found=True)
    proof = Proof(mark_set="set", confirmed=True)
    assert judged(A, metadata, applied, proof).fate is Fate.DELETE


OWNED = {"name": "a", "ownerReferences": [{"kind": "Service"}]}
TOKEN = {
    "name": "default-token-x",
    "annotations": {"kubernetes.io/service-account.name": "default"},
}


@pytest.mark.parametrize(
    ("kind", "metadata", "foreign"),
    [
        ("ConfigMap", {"name": "kube-root-ca.crt"}, False),
        ("ConfigMap", {"name": "a"}, True),
        ("ServiceAccount", {"name": "default"}, False),
        ("Secret", TOKEN, False),
        ("Secret", {"name": "a", "annotations": {"b": "c"}}, True),
        ("discovery.k8s.io/EndpointSlice", OWNED, False),
        ("discovery.k8s.io/EndpointSlice", {"name": "a"}, True),
        ("coordination.k8s.io/Lease", {"name": "a"}, False),
        ("example.com/Lease", {"name": "a"}, True),
        ("Pod", {"name": "a", "deletionTimestamp": "now"}, False),
    ],
)
def test_what_a_namespace_holds_of_itself_is_nobodys(
    kind: str, metadata: dict[str, Any], *, foreign: bool
) -> None:
    assert is_foreign(ObjectId.parse(f"{kind} n/a").key, metadata) is foreign


def test_the_inventories_and_their_namespace_are_flux_own() -> None:
    own = ("Namespace flux-system", "ConfigMap flux-system/flux-inventory-apps")
    others = ("Namespace shop", "ConfigMap shop/flux-inventory-apps", "x/Namespace flux-system")
    assert all(is_flux_own(ObjectId.parse(name), "flux-system") for name in own)
    assert not any(is_flux_own(ObjectId.parse(name), "flux-system") for name in others)


async def test_a_kind_that_is_not_served_now_is_kept_and_told(tmp_path: Path) -> None:
    api = FakeApi()
    serves(api)
    async with serving(api, tmp_path) as kube:
        round_ = pruning(kube)
        await round_.delete([("g/Widget n/w", Applied(uid="u"))])

    assert round_.forgotten == set()
    (kept,) = round_.kept
    assert kept.message == "the cluster serves no g Widget now; deleted when it does"


async def test_a_group_that_is_stale_in_discovery_serves_what_it_served(tmp_path: Path) -> None:
    api = FakeApi()
    widget = group("g", "Widget", "widgets")
    serves(api, widget)
    async with serving(api, tmp_path) as kube:
        discovery = Discovery(kube)
        named = ObjectId.parse("g/Widget n/w")
        assert await discovery.find(named, "v1")
        stale = {**widget["versions"][0], "freshness": "Stale", "resources": []}
        serves(api, {**widget, "versions": [stale]}, group("h", "Other", "others"))
        discovery.expire()
        assert await discovery.find(ObjectId.parse("h/Other n/o"), "v1")
        assert await discovery.find(named, "v1")
        serves(api)
        discovery.expire()
        assert await discovery.find(named, "v1") is None


async def test_many_are_looked_at_by_one_list_and_deleted_side_by_side(tmp_path: Path) -> None:
    api = FakeApi()
    serves(api)
    names = [f"c{number}" for number in range(40)]
    api.on("GET", MAPS, listed(*({"metadata": owned(name)} for name in names[1:])))
    waiting, most = 0, 0

    async def delete(_: Any) -> Any:
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        await asyncio.sleep(0.01)
        waiting -= 1
        return await done(_)

    api.on("DELETE", "done", (200, {}))
    done = api._answers["DELETE", "done"]
    for name in names:
        api.on("DELETE", f"{MAPS}/{name}", delete)
    async with serving(api, tmp_path) as kube:
        round_ = pruning(kube)
        await round_.delete((f"ConfigMap n/{one}", Applied(uid=f"uid-{one}")) for one in names)

    assert len(round_.forgotten) == 40
    assert api.count("GET", MAPS) == 1
    assert len([one for one in api.asked if one[0] == "DELETE"]) == 39
    assert most == 4


async def test_what_could_not_be_deleted_stays_ours_and_others_go_on(tmp_path: Path) -> None:
    api = FakeApi()
    serves(api)
    for name in ("a", "b"):
        api.on("GET", f"{MAPS}/{name}", (200, {"metadata": owned(name)}))
    api.on("DELETE", f"{MAPS}/a", (500, {"message": "failed calling webhook"}))
    api.on("DELETE", f"{MAPS}/b", (200, {}))
    async with serving(api, tmp_path) as kube:
        round_ = pruning(kube)
        ledger = round_._ledger
        gone = {f"ConfigMap n/{one}": Applied(uid=f"uid-{one}", fields="f") for one in "ab"}
        ledger.claim(Inventory(sync="apps", objects=gone))
        await round_.delete(gone.items())

    assert round_.forgotten == {"ConfigMap n/b"}
    assert ledger.owner("ConfigMap n/a") == "apps"
    assert ledger.owner("ConfigMap n/b") is None
    assert round_.unfinished


async def test_an_inventory_that_is_too_large_is_told_with_the_remedy(tmp_path: Path) -> None:
    objects = {
        str(ObjectId(group="", kind="ConfigMap", namespace="n", name=f"{number}")): Applied(
            digest=f"{hash((number, 1)) & (2**64 - 1):016x}",
            fields=f"{hash((number, 2)) & (2**64 - 1):016x}",
            uid=f"{hash((number, 3)) & (2**64 - 1):016x}{hash((number, 4)) & (2**64 - 1):016x}",
        )
        for number in range(25_000)
    }
    api = FakeApi()
    async with serving(api, tmp_path) as kube:
        with pytest.raises(PermanentError, match=f"25000 objects .* holds {LARGEST}: divide"):
            await InventoryStore(kube, "flux-system", "us").save(
                Inventory(sync="a", objects=objects)
            )
    assert api.asked == []


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.looptime
async def test_a_workload_is_told_again_when_it_is_known_whose_it_is() -> None:
    bus, ledger, stop = FakeBus(), Ledger(), asyncio.Event()
    live = Live("default", ledger, cast("Any", bus), held=lambda: True)
    named = ObjectId.parse("apps/Deployment n/web")
    async with asyncio.TaskGroup() as group_:
        group_.create_task(live.run(stop))
        await asyncio.sleep(MOMENT)
        live.see(named, {"kind": "Deployment", "metadata": {}, "spec": {}})
        await asyncio.sleep(3 * MOMENT)
        objects = {str(named): Applied(fields="f")}
        ledger.claim(Inventory(sync="apps", objects=objects))
        live.owned(objects)
        await asyncio.sleep(3 * MOMENT)
        stop.set()
    assert [one.sync for one in bus.published] == ["", "apps"]


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.looptime
async def test_drift_that_is_seen_while_the_bus_is_away_is_asked_for_when_it_is_back() -> None:
    bus, stop, back = FakeBus(), asyncio.Event(), asyncio.Event()
    publish = bus.publish

    async def slow(*drafts: Any) -> None:
        await back.wait()
        await publish(*drafts)

    bus.publish = slow  # type: ignore[method-assign]
    drifting = Drifting("apps", "default", cast("Any", bus))
    async with asyncio.TaskGroup() as group_:
        group_.create_task(drifting.run(stop))
        for name in ("a", "b"):
            drifting.see(name, Drift(what="changed", manager="m", seen=0.0))
            await asyncio.sleep(0.01)
        back.set()
        async with asyncio.timeout(30):
            while not any("b" in one.objects for one in bus.published):
                await asyncio.sleep(0.001)
        stop.set()
    assert all(isinstance(one, SyncRequested) for one in bus.published)


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.looptime
async def test_what_failed_for_a_while_is_asked_for_again_later_and_later() -> None:
    bus, stop = FakeBus(), asyncio.Event()
    drifting = Drifting("apps", "default", cast("Any", bus))
    drifting._delay = 0.02
    async with asyncio.TaskGroup() as group_:
        group_.create_task(drifting.run(stop))
        drifting.ended((), unfinished=True)
        async with asyncio.timeout(30):
            while not bus.published:
                await asyncio.sleep(0.001)
        assert [one.reason for one in bus.published] == ["again"]
        assert drifting._delay == 0.04
        drifting.ended((), unfinished=True)
        drifting.ended((), unfinished=False)
        await asyncio.sleep(0.1)
        stop.set()
    assert len(bus.published) == 1


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.looptime
async def test_drift_that_the_round_under_way_puts_back_is_not_asked_for() -> None:
    bus, stop, corrected = FakeBus(), asyncio.Event(), []
    drifting = Drifting("apps", "default", cast("Any", bus))
    drifting.at_once = lambda name: name == "a" and not corrected.append(name)
    async with asyncio.TaskGroup() as group_:
        group_.create_task(drifting.run(stop))
        for name, count in (("a", 0), ("b", 1)):
            drifting.see(name, Drift(what="changed", manager="m", seen=0.0))
            await asyncio.sleep(0.05)
            assert len(bus.published) == count
        stop.set()
    assert corrected == ["a"]
