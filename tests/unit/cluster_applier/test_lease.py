"""Of several replicas one holds the Lease; who was frozen knows that it lost it without asking."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web

from services.cluster_applier.domain.ledger import Ledger
from services.cluster_applier.kube import Kube
from services.cluster_applier.lease import Lease, Terms
from services.cluster_applier.live import MOMENT, Live
from services.cluster_applier.reach import Reach
from shared.manifests import ObjectId
from tests.unit.cluster_applier.fakes import FakeApi, FakeBus, serving

LEASES = "/apis/coordination.k8s.io/v1/namespaces/flux-system/leases"
AT = f"{LEASES}/flux"
TERMS = Terms(valid=4.0, held=3.0, beat=0.1)


class LeaseApi(FakeApi):
    """Keeps one Lease, as an API server does: a stale version is refused."""

    def __init__(self) -> None:
        super().__init__()
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.away = asyncio.Event()
        self.on("GET", AT, self._get)
        self.on("PUT", AT, self._put)
        self.on("POST", LEASES, self._put)

    @property
    def holder(self) -> str:
        return str(self.lease["spec"]["holderIdentity"]) if self.lease else ""

    async def _get(self, _: web.Request) -> web.Response:
        found = self.lease
        return web.json_response(found or {"message": "no"}, status=200 if found else 404)

    async def _put(self, request: web.Request) -> web.Response:
        if self.away.is_set():
            return web.json_response({"message": "away"}, status=503)
        body = json.loads(await request.read())
        if body["metadata"].get("resourceVersion", "0") != str(self.version):
            return web.json_response({"message": "modified"}, status=409)
        self.version += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        self.lease = body
        return web.json_response(body)


class Replica:
    """One who wants the Lease, and notes when it works."""

    def __init__(self, kube: Kube, name: str, bus: FakeBus) -> None:
        reach = Reach(cast("Any", bus))
        self.lease = Lease(
            kube, reach, namespace="flux-system", name="flux", identity=name, terms=TERMS
        )
        self.working = False
        self.stop = asyncio.Event()
        self.bus = bus

    async def work(self, end: asyncio.Event) -> None:
        self.working = True
        try:
            await end.wait()
        finally:
            self.working = False

    async def run(self) -> None:
        await self.lease.run(self.stop, self.work)


@asynccontextmanager
async def replicas(api: FakeApi, path: Path, *names: str) -> AsyncIterator[list[Replica]]:
    async with serving(api, path) as kube, asyncio.TaskGroup() as group:
        found = [Replica(kube, name, FakeBus()) for name in names]
        for one in found:
            group.create_task(one.run())
        yield found
        for one in found:
            one.stop.set()


async def until(fits: Any, seconds: float = 20.0) -> float:
    begun = asyncio.get_running_loop().time()
    async with asyncio.timeout(seconds):
        while not fits():
            await asyncio.sleep(0.005)
    return asyncio.get_running_loop().time() - begun


async def test_one_of_two_works_and_the_other_as_soon_as_the_first_stops(tmp_path: Path) -> None:
    api = LeaseApi()
    async with replicas(api, tmp_path, "a", "b") as (a, b):
        await until(lambda: a.working or b.working)
        await until(lambda: api.version >= 8)
        assert a.working != b.working
        first, second = (a, b) if a.working else (b, a)
        first.stop.set()
        assert await until(lambda: second.working) < TERMS.held
        assert not first.working
        assert api.lease is not None
        assert api.lease["spec"]["leaseTransitions"] >= 2


async def test_the_lease_of_a_dead_process_is_taken_when_it_was_unchanged_for_long_enough(
    tmp_path: Path,
) -> None:
    api = LeaseApi()
    # By the dead one's clock it was renewed in the year 3000: nobody's wall clock is trusted.
    spec = {
        "holderIdentity": "dead",
        "leaseDurationSeconds": 1,
        "renewTime": "3000-01-01T00:00:00Z",
    }
    api.version, api.lease = 7, {"metadata": {"resourceVersion": "7"}, "spec": spec}
    async with replicas(api, tmp_path, "a") as (a,):
        taken = await until(lambda: a.working)
    assert taken > 0.9


async def test_who_can_not_renew_stops_before_anybody_else_may_begin(tmp_path: Path) -> None:
    api = LeaseApi()
    async with replicas(api, tmp_path, "a") as (a,):
        await until(lambda: a.working)
        api.away.set()
        assert await until(lambda: not a.working) < TERMS.valid
        assert ("down", "cluster default") in a.bus.outages
        api.away.clear()
        await until(lambda: a.working)
        assert a.bus.outages[-1] == ("up", "cluster default")


async def test_who_was_frozen_knows_by_the_clock_that_it_is_not_its_own_any_more(
    tmp_path: Path,
) -> None:
    api = LeaseApi()
    async with replicas(api, tmp_path, "a") as (a,):
        await until(lambda: a.working)
        time.sleep(TERMS.held)  # noqa: ASYNC251 - as frozen: nothing of this process runs
        assert not a.lease.held
        await until(lambda: a.lease.held)


async def test_a_lease_that_was_taken_from_us_ends_our_work_at_once(tmp_path: Path) -> None:
    api = LeaseApi()
    async with replicas(api, tmp_path, "a") as (a,):
        await until(lambda: a.working)
        api.version += 1
        spec = {"holderIdentity": "b", "leaseDurationSeconds": 60}
        api.lease = {"metadata": {"resourceVersion": str(api.version)}, "spec": spec}
        assert await until(lambda: not a.working) < TERMS.held
        assert api.holder == "b"


@pytest.mark.parametrize("verb", ["GET", "POST"])
async def test_a_verb_that_is_missing_is_named(tmp_path: Path, verb: str) -> None:
    api = LeaseApi()
    api.on(verb, AT if verb == "GET" else LEASES, (403, {"message": "leases is forbidden"}))
    async with replicas(api, tmp_path, "a") as (a,):
        await until(lambda: a.bus.outages)
    assert a.bus.outages == [("down", "cluster default, lease flux-system/flux")]
    assert "allow the verbs get, create and update of leases" in a.bus.reasons[0]


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.looptime
async def test_who_lost_it_tells_no_status_any_more_though_it_has_seen_one() -> None:
    bus, stop, held = FakeBus(), asyncio.Event(), [True]
    live = Live("default", Ledger(), cast("Any", bus), held=lambda: held[0])
    named = ObjectId.parse("apps/Deployment n/web")
    async with asyncio.TaskGroup() as group:
        group.create_task(live.run(stop))
        await asyncio.sleep(MOMENT)
        live.see(named, {"kind": "Deployment", "metadata": {}, "spec": {}})
        held[0] = False  # as after a thaw: what was seen before is old by now
        await asyncio.sleep(3 * MOMENT)
        assert bus.published == []
        live.see(named, {"kind": "Deployment", "metadata": {}, "spec": {"replicas": 2}})
        await asyncio.sleep(3 * MOMENT)
        stop.set()
    assert bus.published == []
