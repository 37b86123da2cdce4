"""An API server that misbehaves: all is applied in the end, nothing deleted, nothing a storm."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from itertools import count

import pytest

from sandbox.api_faults import (
    EXPIRED,
    answers,
    gives_garbage,
    gives_half,
    late,
    loses_the_answer,
    paged,
    resets,
    watch_cut,
    without_bookmarks,
)
from sandbox.api_proxy import Act, ApiProxy, Fault, api_proxy
from sandbox.cluster import Cluster
from shared.contract import (
    DependencyDown,
    DependencyUp,
    Draft,
    DriftCorrected,
    SyncCompleted,
    SyncFailed,
    SyncRequested,
)
from tests.integration.applier_stage import Stage, config_map, configured, staged

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

COUNT = 12
NUMBERS = count()


@pytest.fixture(scope="module")
async def running(
    place: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Stage, ApiProxy]]:
    """An applier that reaches the real control plane through a proxy, for all tests."""
    directory = tmp_path_factory.mktemp("misbehaving")
    async with api_proxy(place.kubeconfig, directory) as api, staged(place, directory) as stage:
        stage.config = configured(api.kubeconfig, directory, stage.namespace)
        async with stage.applying():
            await stage.declare(maps("first"))
            await stage.completed()
            yield stage, api


@pytest.fixture
async def stage(running: tuple[Stage, ApiProxy]) -> AsyncIterator[Stage]:
    stage, api = running
    stage.told.clear()
    api.asked.clear()
    yield stage
    api.faults.clear()


@pytest.fixture
def api(running: tuple[Stage, ApiProxy]) -> ApiProxy:
    return running[1]


def maps(value: str) -> str:
    return "".join(config_map(f"m{number}", k=value) for number in range(COUNT))


async def whole(stage: Stage) -> SyncCompleted:
    """Wait until the newest revision was told without a failure."""

    def fits(one: SyncCompleted) -> bool:
        return one.revision == stage.revisions[-1] and "failed" not in one.counts

    found: SyncCompleted = await stage.wait(SyncCompleted, fits)
    return found


async def values(stage: Stage) -> set[str]:
    found = await stage.kube.list("ConfigMap", stage.namespace)
    return {one["data"]["k"] for one in found if one["metadata"]["name"].startswith("m")}


async def outages_over(stage: Stage, most: int) -> None:
    """Look that what was told to be down is told to be up, once each."""
    down = [one.dependency for one in stage.told if isinstance(one, DependencyDown)]
    assert len(down) <= most
    assert {(await stage.wait(DependencyUp)).dependency for _ in down} == set(down)
    assert not [one for one in stage.told if isinstance(one, DependencyUp)]


async def still_watches(stage: Stage, api: ApiProxy) -> None:
    """Drift is put back, so the watch goes on; who changes an object often is left alone."""
    name = f"m{next(NUMBERS) % COUNT}"
    before = await stage.data(name)
    await stage.kube.merge("ConfigMap", name, {"data": {"k": "by hand"}}, stage.namespace)
    await stage.wait_data(name, before)
    await stage.wait(DriftCorrected)
    assert api.count("DELETE") == 0


BROKEN_WATCHES = (
    watch_cut(0),
    watch_cut(0, EXPIRED),
    watch_cut(0, b"<html>"),
    resets,
)


async def test_a_watch_that_misbehaves_is_begun_again_and_misses_nothing(
    stage: Stage, api: ApiProxy
) -> None:
    path = r"/api/v1/configmaps\?"
    faults = [Fault(act=act, verb="WATCH", path=path, times=1) for act in BROKEN_WATCHES]
    api.faults = [*faults, Fault(act=without_bookmarks, verb="WATCH", path=path)]
    api.cut_watches()
    async with asyncio.timeout(30):
        while not api.faults[-1].met:
            await asyncio.sleep(0.01)
    await still_watches(stage, api)
    api.cut_watches()
    await still_watches(stage, api)
    begun = api.times("WATCH", path)
    assert len(begun) <= len(BROKEN_WATCHES) + 2
    # By chance 1.5 to 4.5 s; as soon as the first time it would be 1.2 at most.
    assert begun[-2] - begun[0] > 1.4, "later and later"
    await outages_over(stage, 1)


def on(number: str, act: Act, times: int | None = 1) -> Fault:
    """Return what happens when the maps of these numbers are applied."""
    return Fault(verb="PATCH", path=f"/configmaps/m{number}\\?", act=act, times=times)


WAYS = {
    "busy": lambda: [on("\\d+", answers(429), 2)],
    "refused": lambda: [
        on("0", answers(409)),
        on("1", answers(410)),
        on("2", gives_garbage),
        on("3", answers(500)),
        on("4", answers(503)),
    ],
    "cut": lambda: [
        on("0", resets, 2),
        on("1", gives_half),
        on("2", loses_the_answer),
        on("3", resets),
    ],
    "unauthorized": lambda: [on("\\d+", answers(401))],
    "slow": lambda: [on("\\d+", late(2.0), COUNT)],
}


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_answered_badly_is_asked_once_more_and_nothing_goes(
    stage: Stage, api: ApiProxy, way: str
) -> None:
    api.faults = WAYS[way]()
    await stage.declare(maps(way))
    await whole(stage)

    met = sum(fault.met for fault in api.faults)
    assert met >= len(api.faults)
    assert api.count("PATCH", "/configmaps/m") <= COUNT + met, "no storm"
    assert await values(stage) == {way}
    await outages_over(stage, 1)
    await still_watches(stage, api)


async def test_what_the_server_says_of_when_to_ask_again_is_heeded(
    stage: Stage, api: ApiProxy
) -> None:
    api.faults = [on("7", answers(503, retry_after=3)), on("8", answers(429, retry_after=1))]
    await stage.declare(maps("later"))
    await whole(stage)
    for name, seconds in (("m7", 3), ("m8", 1)):
        first, second = api.times("PATCH", f"/configmaps/{name}\\?")
        assert seconds <= second - first < seconds + 3


LISTED = {
    "expired": answers(410, "the provided continue parameter is too old"),
    "busy": answers(429),
    "an error": answers(500),
    "garbage": gives_garbage,
    "half": gives_half,
    "broken": resets,
}


async def test_a_list_that_breaks_off_on_its_second_page_makes_nothing_look_gone(
    stage: Stage, api: ApiProxy
) -> None:
    for act in LISTED.values():
        second = Fault(verb="GET", path="/configmaps.*continue=", act=act, times=2)
        api.faults = [second, Fault(verb="GET", path="/configmaps.*limit=500", act=paged(2))]
        await stage.bus.publish(Draft(message=SyncRequested(sync="apps", reason="person")))
        done = await stage.wait(SyncCompleted)
        assert done.counts == {"unchanged": COUNT}
        assert second.met
    assert api.count("PATCH") == api.count("DELETE") == 0
    assert api.count("GET", "/configmaps.*limit=500") < len(LISTED) * 3 * COUNT
    await still_watches(stage, api)


async def test_one_object_that_is_refused_spoils_no_other_and_is_tried_later_and_later(
    stage: Stage, api: ApiProxy
) -> None:
    api.faults = [on("5", answers(500, "etcdserver: it is in a mood"), None)]
    await stage.declare(maps("but one"))
    done = await stage.completed()
    assert done.counts == {"configured": COUNT - 1, "failed": 1}
    await stage.wait(SyncCompleted)
    first, second = api.times("PATCH", "/configmaps/m5")
    assert second - first > 1.5
    assert api.count("PATCH") == COUNT + 1


async def test_an_outage_is_told_once_and_ends_in_the_newest_revision(
    stage: Stage, api: ApiProxy
) -> None:
    api.faults = [Fault(act=answers(503, "it is starting"))]
    api.cut_watches()
    await stage.declare(maps("during"))
    down = await stage.wait(DependencyDown)
    await asyncio.sleep(2.0)
    api.faults = [Fault(act=resets)]
    await asyncio.sleep(2.0)
    asked = len(api.asked)
    api.faults.clear()
    await whole(stage)
    assert await values(stage) == {"during"}
    up = await stage.wait(DependencyUp)
    assert up.dependency == down.dependency == "cluster default"
    await still_watches(stage, api)
    assert asked < 80, "in four seconds, of eight watches, the Lease and a sync"
    assert not [one for one in stage.told if isinstance(one, DependencyDown | DependencyUp)]
    assert api.count("DELETE") == 0


async def test_an_inventory_that_is_too_large_for_the_server_is_told_and_nothing_is_touched(
    stage: Stage, api: ApiProxy
) -> None:
    said = "Too long: may not be more than 1048576 bytes"
    api.faults = [Fault(verb="PUT", path="flux-inventory", act=answers(422, said), times=1)]
    before = await values(stage)
    await stage.declare(maps("too many") + config_map("z", k="1"))
    assert "inventory of apps can't be written: Too long" in (await stage.wait(SyncFailed)).reason
    assert await values(stage) == before
    assert api.count("PATCH") == api.count("DELETE") == 0
    await stage.declare(maps("fewer"))
    await whole(stage)
    assert await values(stage) == {"fewer"}
    assert api.count("DELETE") == 0


async def test_where_one_request_in_five_fails_all_is_applied_all_the_same(
    stage: Stage, api: ApiProxy
) -> None:
    acts = (*LISTED.values(), answers(409), loses_the_answer)
    api.faults = [Fault(act=act, share=0.2 / len(acts)) for act in acts]
    for number in range(2):
        await stage.declare(maps(f"luck {number}"))
        await whole(stage)
        assert await values(stage) == {f"luck {number}"}
    failed = sum(fault.met for fault in api.faults)
    assert failed
    assert len(api.asked) < 2 * (COUNT + 20) + 6 * failed, "no storm"
    api.faults.clear()
    await still_watches(stage, api)


async def test_a_restart_of_the_api_server_itself_loses_nothing(
    stage: Stage, api: ApiProxy
) -> None:
    if stage.cluster.kind != "real" or stage.cluster.pid is None:
        pytest.skip("only the control plane that was started here can be restarted")
    os.kill(stage.cluster.pid, signal.SIGUSR1)
    await stage.declare(maps("restarted"))
    await whole(stage)
    assert await values(stage) == {"restarted"}
    await still_watches(stage, api)
