"""Waiting until all is ready, against an API server that changes its mind."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web

from services.cluster_applier.answers import Answer
from services.cluster_applier.domain.plan import Wanted
from services.cluster_applier.waiting import Waiting
from shared.bundle.chunks import Entry
from shared.contract import SyncCompleted, SyncRequested
from shared.manifests import ObjectId
from tests.unit.cluster_applier.fakes import FakeApi, FakeBus, serving


def wanted(name: str) -> Wanted:
    text = f"example.com/Gear n/{name}"
    entry = Entry(id=text, version="v1", digest="d", file="a.yaml", chunk=0, offset=0, length=1)
    return Wanted(id=ObjectId.parse(text), entry=entry, path=f"/{name}")


async def test_what_was_ready_before_must_be_so_still_at_the_end(tmp_path: Path) -> None:
    api, bus = FakeApi(), FakeBus()
    # By object: ready, or not, at each look; the last one stays.
    course = {"/a": [True, False, False, True], "/b": [False, True]}

    async def show(request: web.Request) -> web.Response:
        left = course[request.path]
        ready = left.pop(0) if len(left) > 1 else left[0]
        conditions = [{"type": "Ready", "status": str(ready), "message": "turning"}]
        return web.json_response({"metadata": {}, "status": {"conditions": conditions}})

    for path in course:
        api.on("GET", path, show)
    stop = asyncio.Event()
    done = SyncCompleted(sync="apps", target="t", repository="r", revision="1")
    async with serving(api, tmp_path) as kube, asyncio.TaskGroup() as group:
        waiting = Waiting("apps", kube, cast("Any", bus), deadline=60.0)
        group.create_task(waiting.run(stop))
        waiting.begin(done, [wanted("a"), wanted("b")])
        await api.wait_asked("GET", "/a", 4)
        async with asyncio.timeout(30):
            while not bus.published:
                await asyncio.sleep(0.01)
        stop.set()

    assert bus.published == [SyncRequested(sync="apps", reason="again")]
    over = waiting.over("1")
    assert over is not None
    assert (over.healthy, over.unhealthy) == (True, ())
    assert waiting.over("1") is None


async def test_an_object_that_cannot_be_read_is_not_ready_and_says_why(tmp_path: Path) -> None:
    api, bus = FakeApi(), FakeBus()
    api.on("GET", "/a", (403, {"message": "gears are forbidden"}))
    stop = asyncio.Event()
    done = SyncCompleted(sync="apps", target="t", repository="r", revision="1")
    async with serving(api, tmp_path) as kube, asyncio.TaskGroup() as group:
        waiting = Waiting("apps", kube, cast("Any", bus), deadline=0.0)
        group.create_task(waiting.run(stop))
        waiting.begin(done, [wanted("a")])
        async with asyncio.timeout(30):
            while not bus.published:
                await asyncio.sleep(0.01)
        stop.set()

    over = waiting.over("1")
    assert over is not None
    assert over.healthy is False
    assert over.unhealthy[0].message == "it can't be read: gears are forbidden"
    assert waiting.waits("1")


class NeverReady:
    async def look(self, _: str) -> Answer:
        condition = {"type": "Ready", "status": "False", "message": "turning"}
        return Answer(status=200, body={"status": {"conditions": [condition]}})


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.looptime
async def test_what_is_put_back_meanwhile_does_not_put_off_the_deadline() -> None:
    bus, stop = FakeBus(), asyncio.Event()
    done = SyncCompleted(sync="apps", target="t", repository="r", revision="1")
    waiting = Waiting("apps", cast("Any", NeverReady()), cast("Any", bus), deadline=60.0)
    async with asyncio.TaskGroup() as group:
        group.create_task(waiting.run(stop))
        for _ in range(13):
            waiting.begin(done, [wanted("a")])
            await asyncio.sleep(5)
        stop.set()

    over = waiting.over("1")
    assert over is not None
    assert over.healthy is False
