"""How long repo-writer, a process on a real broker and a real git host, gathers for one commit."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from sandbox.broker import Broker, rabbitmq
from sandbox.git_server import GitServer
from sandbox.writer_stage import WriterStage, writer_stage
from shared.contract import Draft, Envelope, OrderCompleted, UpdatePushed
from tests.unit.repo_writer.given import AUTOMATED, found, policies

pytestmark = [pytest.mark.rabbit, pytest.mark.timeout(120)]

NAMES = ("web", "api", "job")


@pytest.fixture(scope="module")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    async with rabbitmq(tmp_path_factory.mktemp("broker")) as started:
        yield started


@pytest.fixture
async def stage(
    request: pytest.FixtureRequest, broker: Broker, git: GitServer, tmp_path: Path
) -> AsyncIterator[WriterStage]:
    door, automation = request.param
    name = f"t{uuid4().hex[:8]}"
    async with (
        writer_stage(broker, git, tmp_path, name, door=door, automation=automation) as made,
        made.writer(),
    ):
        files = {f"{one}.yaml": AUTOMATED.replace("web", one) for one in (*NAMES, "there")}
        await made.copy.commit_and_push("First", files)
        # An order is done at once, and says that the process is there.
        order = policies("default:deployment/there", note="x")
        order = order.model_copy(update={"repository": made.repository})
        await made.bus.publish(Draft(message=order, id=str(uuid4())))
        await made.told(lambda heard: any(isinstance(o.message, OrderCompleted) for o in heard))
        yield made


def staged(*settings: dict[str, object] | None):  # noqa: ANN201 - a mark
    params = [(door, one or {}) for one in settings for door in ("http", "ssh")]
    return pytest.mark.parametrize("stage", params, indirect=True, ids=lambda one: one[0])


async def tell(stage: WriterStage, name: str, *, under_way: int = 0) -> None:
    update = {"repository": stage.repository, "under_way": under_way}
    message = found(workload=f"default:deployment/{name}").model_copy(update=update)
    await stage.bus.publish(Draft(message=message, correlationid="one push"))


def landed(*names: str):  # noqa: ANN201 - a predicate
    def fits(heard: list[Envelope]) -> bool:
        return {f"default:deployment/{name}" for name in names} <= {
            name for one in updates(heard) for name in one.result
        }

    return fits


def updates(heard: list[Envelope]) -> list[UpdatePushed]:
    told = {one.id: one.message for one in heard}
    return [one for one in told.values() if isinstance(one, UpdatePushed) and one.kind == "auto"]


@staged({"max_wait": "30s"})
async def test_a_batch_stays_open_while_scans_of_its_cause_are_under_way(
    stage: WriterStage,
) -> None:
    for under_way, name in zip((2, 1, 0), NAMES, strict=True):
        await tell(stage, name, under_way=under_way)
        await asyncio.sleep(0.4)  # four times as long as it must be quiet
    heard = await stage.told(landed(*NAMES))
    assert len(updates(heard)) == 1


@staged(None)
async def test_a_scan_that_never_ends_holds_a_batch_up_for_no_longer_than_max_wait(
    stage: WriterStage,
) -> None:
    began = asyncio.get_running_loop().time()
    await tell(stage, "web", under_way=1)
    await stage.told(landed("web"))
    assert 1.9 < asyncio.get_running_loop().time() - began < 30


@staged({"quiet": "6s"})
async def test_who_publishes_many_images_gets_one_commit_after_a_long_quiet(
    stage: WriterStage,
) -> None:
    began = asyncio.get_running_loop().time()
    for name in NAMES:
        await tell(stage, name)
        await asyncio.sleep(0.3)
    heard = await stage.told(landed(*NAMES))
    assert len(updates(heard)) == 1
    assert asyncio.get_running_loop().time() - began > 6


@staged({"quiet": "10m"})
async def test_a_persons_order_lands_at_once_and_takes_along_what_was_gathered(
    stage: WriterStage,
) -> None:
    await tell(stage, "web")
    order = policies("default:deployment/job", note="y")
    order = order.model_copy(update={"repository": stage.repository})
    await stage.bus.publish(Draft(message=order, id=str(uuid4())))
    heard = await stage.told(landed("web"))
    assert sum(isinstance(one.message, OrderCompleted) for one in heard) == 2
