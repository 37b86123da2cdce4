"""Watches against an API server that misbehaves: nothing ends them, nothing makes them a storm."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web

from services.cluster_applier.discovery import Resource
from services.cluster_applier.domain.drift import Drift
from services.cluster_applier.domain.inventory import Applied, Inventory
from services.cluster_applier.domain.ledger import Ledger
from services.cluster_applier.domain.ownership import ours
from services.cluster_applier.watch import Watches
from tests.unit.cluster_applier.fakes import FakeApi, FakeBus, event, lines, listed, owned, serving

MAPS = Resource(group="", version="v1", kind="ConfigMap", plural="configmaps", namespaced=True)
SECRETS = Resource(group="", version="v1", kind="Secret", plural="secrets", namespaced=True)
MAPS_PATH, SECRETS_PATH = MAPS.collection(), SECRETS.collection()


class Watching:
    """Watches, what they see, and whom they tell."""

    def __init__(self, api: FakeApi, watches: Watches, bus: FakeBus) -> None:
        self.api = api
        self.watches = watches
        self.bus = bus
        self.drifts: list[tuple[str, Drift]] = []

    async def wait_drift(self) -> tuple[str, Drift]:
        async with asyncio.timeout(30):
            while not self.drifts:
                await asyncio.sleep(0.005)
        return self.drifts.pop(0)

    async def wait_outages(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.bus.outages) < count:
                await asyncio.sleep(0.005)


@asynccontextmanager
async def watching(api: FakeApi, directory: Path, *kinds: Resource) -> AsyncIterator[Watching]:
    ledger, bus = Ledger(), FakeBus()
    applied = Applied(fields=ours(owned("a")), uid="uid-a")
    ledger.claim(Inventory(sync="apps", objects={"ConfigMap n/a": applied}))
    async with serving(api, directory) as kube:
        watches = Watches(
            kube,
            ledger,
            cast("Any", bus),
            drift=lambda _, name, drift: found.drifts.append((name, drift)),
            workload=lambda *_: None,
        )
        found = Watching(api, watches, bus)
        watches.ensure(set(kinds))
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(watches.run(stop))
            try:
                yield found
            finally:
                stop.set()


@pytest.mark.parametrize(
    "garbage",
    [
        b"{no json",
        b"[]",
        b'{"type": "ADDED"}',
        b'{"type": "ADDED", "object": {"metadata": {}}}',
        b'{"type": "ADDED", "object": {"metadata": {"resourceVersion": "7"}}}',
        b"\xff\xfe",
    ],
)
async def test_garbage_in_a_watch_costs_a_new_list_and_no_drift_goes_unseen(
    tmp_path: Path, garbage: bytes
) -> None:
    api = FakeApi()
    api.on("GET", MAPS_PATH, listed({"metadata": owned("a")}))
    api.on("WATCH", MAPS_PATH, lines(garbage, hold=True))
    async with watching(api, tmp_path, MAPS) as found:
        await api.wait_asked("WATCH", MAPS_PATH, 1)
        api.on("GET", MAPS_PATH, listed({"metadata": owned("a", fields="theirs")}))
        assert (await found.wait_drift())[0] == "ConfigMap n/a"
        assert found.bus.outages == []


@pytest.mark.parametrize(
    "said", [(), (event("ADDED", **owned("a")),), (b'{"type":"ERROR","object":{"code":410}}',)]
)
async def test_a_watch_that_ends_at_once_is_no_storm(
    tmp_path: Path, said: tuple[bytes, ...]
) -> None:
    api = FakeApi()
    api.on("GET", MAPS_PATH, listed({"metadata": owned("a")}))
    api.on("WATCH", MAPS_PATH, lines(*said))
    async with watching(api, tmp_path, MAPS):
        await api.wait_asked("WATCH", MAPS_PATH, 1)
        await asyncio.sleep(1.0)
    assert len(api.asked) <= 12


async def test_an_expired_list_begins_anew_and_finds_what_is_gone(tmp_path: Path) -> None:
    api = FakeApi()
    expired = iter([True, False])

    async def page(request: web.Request) -> web.Response:
        if "continue" not in request.query:
            status, body = listed({"metadata": owned("b")}, **{"continue": "next"})
        elif next(expired, False):
            status, body = 410, {"message": "expired"}
        else:
            status, body = listed()
        return web.json_response(body, status=status)

    api.on("GET", MAPS_PATH, page)
    api.on("WATCH", MAPS_PATH, lines(hold=True))
    async with watching(api, tmp_path, MAPS) as found:
        name, drift = await found.wait_drift()
        assert (name, drift.what) == ("ConfigMap n/a", "deleted")
        assert found.bus.outages == []


@pytest.mark.parametrize("verb", ["GET", "WATCH"])
async def test_a_forbidden_kind_is_named_with_its_verb_and_the_cluster_is_not_down(
    tmp_path: Path, verb: str
) -> None:
    api = FakeApi()
    for path in (MAPS_PATH, SECRETS_PATH):
        api.on("GET", path, listed({"metadata": owned("a")}))
        api.on("WATCH", path, lines(hold=True))
    forbidden = {"message": 'secrets is forbidden: User "u" cannot'}
    api.on(verb, SECRETS_PATH, (403, forbidden))
    async with watching(api, tmp_path, MAPS, SECRETS) as found:
        await found.wait_outages(1)
        said = {"GET": "list", "WATCH": "watch"}[verb]
        assert found.bus.outages == [("down", f"cluster default, {said} of secrets")]
        assert "allow the verbs list and watch of secrets" in found.bus.reasons[0]
        await found.watches.compare(at_most=0)
        api.on("GET", MAPS_PATH, listed())
        await found.watches.compare(at_most=0)
        assert (await found.wait_drift())[0] == "ConfigMap n/a"
        await api.wait_asked("GET", SECRETS_PATH, 3)
        assert len(found.bus.outages) == 1
        api.on("GET", SECRETS_PATH, listed())
        api.on("WATCH", SECRETS_PATH, lines(hold=True))
        await found.wait_outages(2)
        assert found.bus.outages[1] == ("up", f"cluster default, {said} of secrets")


async def test_many_watches_that_fail_together_and_recover_one_by_one_are_one_outage(
    tmp_path: Path,
) -> None:
    api, kinds = (
        FakeApi(),
        [
            Resource(group="g", version="v1", kind=f"K{n}", plural=f"k{n}s", namespaced=True)
            for n in range(12)
        ],
    )
    gone = {kind.collection() for kind in kinds}

    async def away(request: web.Request) -> web.StreamResponse:
        if request.path in gone:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(listed()[1])

    for kind in kinds:
        api.on("GET", kind.collection(), away)
        api.on("WATCH", kind.collection(), lines(hold=True))
    async with watching(api, tmp_path, *kinds) as found:
        for kind in kinds:
            await api.wait_asked("GET", kind.collection(), 2)
        await found.wait_outages(1)
        for kind in kinds:
            assert found.bus.outages == [("down", "cluster default")]
            others = {one: api.count("GET", one) for one in gone - {kind.collection()}}
            gone.remove(kind.collection())
            await api.wait_asked("WATCH", kind.collection(), 1)
            for other, times in others.items():  # the one that is back wakes the others
                await api.wait_asked("GET", other, times + 1)
        await found.wait_outages(2)
        assert found.bus.outages == [("down", "cluster default"), ("up", "cluster default")]


async def test_a_kind_that_is_served_no_more_is_watched_again_in_another_version(
    tmp_path: Path,
) -> None:
    api = FakeApi()
    old = Resource(group="g", version="v1beta1", kind="K", plural="ks", namespaced=True)
    new = Resource(group="g", version="v1", kind="K", plural="ks", namespaced=True)
    async with watching(api, tmp_path, old) as found:
        await api.wait_asked("GET", old.collection(), 1)
        api.on("GET", new.collection(), listed())
        async with asyncio.timeout(30):
            while not api.count("GET", new.collection()):
                found.watches.ensure({new})
                await asyncio.sleep(0.005)
        assert found.bus.outages == []


async def test_a_hundred_who_want_to_compare_share_one_look(tmp_path: Path) -> None:
    api = FakeApi()
    api.on("GET", MAPS_PATH, listed({"metadata": owned("a")}))
    api.on("WATCH", MAPS_PATH, lines(hold=True))
    async with watching(api, tmp_path, MAPS) as found:
        await api.wait_asked("WATCH", MAPS_PATH, 1)
        await asyncio.gather(*(found.watches.compare() for _ in range(100)))
        assert api.count("GET", MAPS_PATH) == 1
        await asyncio.gather(*(found.watches.compare(at_most=0) for _ in range(100)))
        assert api.count("GET", MAPS_PATH) == 2


async def test_a_cut_watch_goes_on_where_it_was(tmp_path: Path) -> None:
    api, seen = FakeApi(), []

    async def cut(request: web.Request) -> web.StreamResponse:
        seen.append(request.query["resourceVersion"])
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(
            event(
                "ADDED",
                **owned("a"),
            )
            + b"\n"
            + json.dumps("x")[:2].encode()
        )
        await asyncio.sleep(0.02)
        assert request.transport is not None
        request.transport.abort()
        return response

    api.on("GET", MAPS_PATH, listed({"metadata": owned("a")}))
    api.on("WATCH", MAPS_PATH, cut)
    async with watching(api, tmp_path, MAPS) as found:
        await api.wait_asked("WATCH", MAPS_PATH, 2)
        assert seen[:2] == ["1", "2"]
        assert found.bus.outages == []
