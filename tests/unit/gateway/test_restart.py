"""A gateway that is started again knows what it knew, from its checkpoint and from the log."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.gateway.checkpoint import Checkpoint, Place, Saved
from services.gateway.domain import memory
from services.gateway.domain.view import View
from shared.bus.memory import MemoryBroker
from shared.contract import (
    DependencyDown,
    Draft,
    Envelope,
    Message,
    OrderAccepted,
    OrderCompleted,
    SyncFailed,
    UpdateRequested,
    WorkloadChanged,
)
from tests.turns import LONGEST, least, the_turns
from tests.unit.gateway.stage import (
    APPS,
    CART,
    NEW,
    PAST,
    PAY,
    PLACES,
    REPOSITORY,
    SUCCESS,
    Stage,
    a_stage,
)
from tests.unit.gateway.test_jobs import image_order
from tests.unit.gateway.test_speed import many

ORDERED = UpdateRequested.type
RELEASE = image_order(CART)
DOWN = DependencyDown(service="git-watcher", dependency="registry quay.io", reason="refused")


BOTH = pytest.mark.parametrize("kept", ["the checkpoint", "the log"])


@contextmanager
def warnings() -> Iterator[list]:
    """Collect what is told from warning on, in the order in which it is."""
    found: list = []
    with capture_logs() as logs:
        yield found
    found += [one for one in logs if one["log_level"] in {"warning", "error"}]


def lose(state: Path) -> None:
    (state / "view.checkpoint").unlink()


async def job(stage: Stage, identity: str) -> dict:
    status, found = await stage.get("v6/jobs", id=identity)
    assert status == 200, found
    return dict(found)


@BOTH
async def test_a_queued_job_is_still_known(kept: str, tmp_path: Path) -> None:
    broker = MemoryBroker(PLACES)
    async with a_stage(alive=(), broker=broker, state=tmp_path) as stage:
        _, identity = await stage.post("v9/update-manifests", RELEASE)
        await stage.settled()
    if kept == "the log":
        lose(tmp_path)
    async with a_stage(alive=(), broker=broker, state=tmp_path, past=()) as stage:
        assert (await job(stage, identity))["StatusString"] == "queued"
        accepted = OrderAccepted(order="o", about=REPOSITORY)
        await stage.say(accepted, correlationid=identity)
        assert (await job(stage, identity))["StatusString"] == "running"
    async with a_stage(alive=(), broker=broker, state=tmp_path, past=(), unheard=0) as stage:
        done = OrderCompleted(order="o", about=REPOSITORY, revision=NEW, result={CART: SUCCESS})
        await stage.say(done, correlationid=identity)
        assert (await job(stage, identity))["StatusString"] == "succeeded"


async def test_an_order_that_waits_since_before_a_restart_is_told_as_unheard(
    tmp_path: Path,
) -> None:
    broker = MemoryBroker(PLACES)
    async with a_stage(alive=(), broker=broker, state=tmp_path) as stage:
        _, identity = await stage.post("v9/update-manifests", RELEASE)
        await stage.settled()
    async with a_stage(alive=(), broker=broker, state=tmp_path, past=(), unheard=0) as stage:
        assert "is repo-writer running?" in (await job(stage, identity))["Err"]


@pytest.mark.parametrize(
    "sent",
    [
        RELEASE,
        image_order(CART, kind="plan"),
        {"type": "policy", "spec": {PAY: {"add": {"locked": "true"}}}},
        {"type": "sync", "spec": {}},
    ],
    ids=["release", "plan", "policy", "sync"],
)
@BOTH
async def test_a_finished_job_tells_what_it_told(sent: dict, kept: str, tmp_path: Path) -> None:
    broker = MemoryBroker(PLACES)
    async with a_stage(broker=broker, state=tmp_path) as stage:
        _, identity = await stage.post("v9/update-manifests", sent)
        told = await stage.finished(identity)
        await stage.settled()
    if kept == "the log":
        lose(tmp_path)
    async with a_stage(broker=broker, state=tmp_path, past=()) as stage:
        assert await job(stage, identity) == told
    assert told["StatusString"] == "succeeded"
    assert told["Result"].get("spec") == (None if sent["type"] == "sync" else sent)


async def everything(stage: Stage) -> Sequence[object]:
    return [
        await stage.get("v6/services", namespace=""),
        await stage.get("v6/sync", ref="HEAD"),
        sorted(stage.view.down.items()),
        stage.view.errors,
        stage.view.failed,
    ]


async def test_a_checkpoint_says_what_the_log_says(tmp_path: Path) -> None:
    broker = MemoryBroker(PLACES)
    past = (*PAST, DOWN, SyncFailed(sync="apps", target="default", reason="the API server is gone"))
    async with a_stage(broker=broker, state=tmp_path, past=past) as stage:
        told = await everything(stage)
    async with a_stage(broker=broker, state=tmp_path, past=()) as stage:
        assert stage.follower.folded == 0
        assert await everything(stage) == told
    lose(tmp_path)
    async with a_stage(broker=broker, state=tmp_path, past=()) as stage:
        assert stage.follower.folded == len(past)
        assert await everything(stage) == told


async def test_a_restart_reads_only_what_came_since(tmp_path: Path) -> None:
    broker = MemoryBroker(PLACES)
    async with a_stage(broker=broker, state=tmp_path) as stage:
        await stage.settled()
    async with broker.connect("/cluster-applier/test") as bus:
        gone = WorkloadChanged(sync="apps", target="default", id=CART, status="gone")
        await bus.publish(Draft(message=gone))
    async with a_stage(broker=broker, state=tmp_path, past=()) as stage:
        await stage.settled()
        assert stage.follower.folded == 1
        assert CART not in stage.view.live


async def test_another_log_is_read_from_its_beginning(tmp_path: Path) -> None:
    """As after the broker has lost its data."""
    for length in (3, 30):
        async with a_stage(state=tmp_path) as stage:
            await stage.settled()
        said: tuple[Message, ...] = (DOWN,) * length
        broker = MemoryBroker(PLACES)
        async with broker.connect("/git-watcher/test") as bus:
            await bus.publish(*(Draft(message=one) for one in said))
        with warnings() as logs:
            async with a_stage(broker=broker, state=tmp_path, past=()) as stage:
                await stage.settled()
                assert stage.follower.folded == length
                assert stage.view.declared == {}
        assert "no longer holds" in logs[0]["reason"]


async def test_other_syncs_need_the_whole_log(tmp_path: Path) -> None:
    broker = MemoryBroker(PLACES)
    async with a_stage(broker=broker, state=tmp_path) as stage:
        await stage.settled()
    other = {**APPS, "name": "more"}
    with warnings() as logs:
        async with a_stage(broker=broker, state=tmp_path, past=(), syncs=(APPS, other)) as stage:
            await stage.settled()
            assert stage.follower.folded == len(PAST)
    assert "other syncs" in logs[0]["reason"]


def newer(text: bytes) -> bytes:
    _, _, rest = text.partition(b"\n")
    return json.dumps({"version": memory.VERSION + 1, "layout": "new"}).encode() + b"\n" + rest


BROKEN = {
    "empty": lambda _: b"",
    "no JSON": lambda text: b"{" + text,
    "cut off": lambda text: text[: len(text) - 100],
    "a byte changed": lambda text: text.replace(b"quota", b"Quota"),
    "newer": newer,
    "another format": lambda _: b"\x00\xff" * 1000,
    "too large": lambda _: b" " * 1000 + b"x" * 70_000_000,
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN.keys())
async def test_a_checkpoint_that_can_not_be_used_is_told_and_thrown_away(
    change: object, tmp_path: Path
) -> None:
    broker, path = MemoryBroker(PLACES), tmp_path / "view.checkpoint"
    async with a_stage(broker=broker, state=tmp_path) as stage:
        await stage.settled()
        told = await everything(stage)
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]
    with warnings() as logs:
        async with a_stage(broker=broker, state=tmp_path, past=()) as stage:
            await stage.settled()
            assert stage.follower.folded == len(PAST)
            assert await everything(stage) == told
    assert [one["event"].partition(";")[0] for one in logs] == ["checkpoint thrown away"]


async def test_a_folder_that_can_not_be_written_costs_the_checkpoint_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with warnings() as logs:
        async with a_stage(state=tmp_path / "file") as stage:
            assert (await stage.get("v6/services", namespace=""))[0] == 200
    assert [one["event"] for one in logs] == ["checkpoint not read", "checkpoint not written"]


async def test_a_view_that_is_too_large_is_not_written_and_that_is_told_once(
    tmp_path: Path,
) -> None:
    view = a_view(many(100))
    checkpoint = Checkpoint(tmp_path / "view.checkpoint", of="x", largest=1_000)
    with warnings() as logs:
        for _ in range(3):
            await checkpoint.save(Place(offset=1, id="a"), memory.things(view))
    assert [one["reason"] for one in logs] == [logs[0]["reason"]]
    assert not (tmp_path / "view.checkpoint").exists()


def a_view(*messages: Message) -> View:
    view = View("default", {REPOSITORY: ["apps"]})
    for message in messages:
        view.fold(envelope(message))
    return view


def envelope(message: Message) -> Envelope:
    return Draft(message=message).sealed("/test")


def large(workloads: int) -> View:
    live = [
        WorkloadChanged(
            sync="apps",
            target="default",
            id=one.id,
            containers={"c": one.containers[0].image},
            status="ready",
            labels={"app": one.file},
        )
        for one in many(workloads).workloads
    ]
    return a_view(many(1_000), *live)


async def test_a_large_view_is_written_in_turns(tmp_path: Path) -> None:
    view = large(80_000)
    checkpoint = Checkpoint(tmp_path / "view.checkpoint", of="x")

    async def writing() -> float:
        async with the_turns() as turns:
            await checkpoint.save(Place(offset=1, id="a"), memory.things(view))
        return turns.longest

    assert await least(writing) < LONGEST


async def test_a_large_view_is_read_in_turns(tmp_path: Path) -> None:
    view = large(15_000)
    checkpoint = Checkpoint(tmp_path / "view.checkpoint", of="x")
    await checkpoint.save(Place(offset=1, id="a"), memory.things(view))

    async def reading() -> float:
        async with the_turns() as turns:
            saved = await checkpoint.load()
        assert isinstance(saved, Saved)
        again = a_view()
        memory.recall(again, saved.things)
        assert again.declared == view.declared
        assert again.live == view.live
        return turns.longest

    assert await least(reading) < LONGEST


async def test_what_is_folded_is_written_now_and_then(tmp_path: Path) -> None:
    async with a_stage(state=tmp_path) as stage:
        async with asyncio.timeout(60):
            while not (tmp_path / "view.checkpoint").exists():
                await asyncio.sleep(0.01)
        assert stage.follower.place is not None
