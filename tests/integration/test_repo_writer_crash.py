"""repo-writer dies by SIGKILL at every step: each update is written once, and told as one fact."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from sandbox.broker import Broker, rabbitmq
from sandbox.git_server import GitServer
from sandbox.writer_stage import WriterStage, writer_stage
from shared.contract import (
    Draft,
    Envelope,
    OrderCompleted,
    OrderRejected,
    UpdatePushed,
    UpdateRejected,
)
from tests.unit.repo_writer.given import AUTOMATED, HOST, WEB, deployment, found, policies

pytestmark = [pytest.mark.rabbit, pytest.mark.timeout(240)]

JOB = "default:deployment/job"
STEPS = (
    *("fetch.after", "commit.before", "commit.after", "commit.after@2"),
    *("push.before", "push.after", "publish.before", "publish.after"),
    *("ack.before", "ack.after", "ack.before@2", "ack.after@2"),
)
AT_THE_HOST = ("fetch.after", "push.before", "push.after")


@pytest.fixture(scope="module")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    async with rabbitmq(tmp_path_factory.mktemp("broker")) as found:
        yield found


@pytest.fixture
async def stage(
    request: pytest.FixtureRequest, broker: Broker, git: GitServer, tmp_path: Path
) -> AsyncIterator[WriterStage]:
    async with writer_stage(
        broker, git, tmp_path, f"t{uuid4().hex[:8]}", door=request.param
    ) as made:
        files = {"web.yaml": AUTOMATED, "job.yaml": deployment("job", "1.0.0")}
        await made.copy.commit_and_push("First", files)
        yield made


def at(step: str) -> str:
    name, _, time = step.partition("@")
    return f"{name}=crash@{time or 1}"


@pytest.mark.parametrize(
    ("stage", "step"),
    [*(("http", step) for step in STEPS), *(("ssh", step) for step in AT_THE_HOST)],
    indirect=["stage"],
)
async def test_kill_9_between_found_and_acknowledged_writes_once_and_tells_one_fact(
    stage: WriterStage, step: str
) -> None:
    update = found().model_copy(update={"repository": stage.repository})
    order = policies(JOB, locked="true").model_copy(update={"repository": stage.repository})
    group = [Draft(message=update), Draft(message=order, id=str(uuid4()))]
    await stage.bus.publish(*group)
    async with stage.writer(faults=at(step)) as doomed, asyncio.timeout(60):
        assert await doomed.wait() == -9
    async with stage.writer():
        heard = await stage.told(lambda said: is_told(said) and not_only_from_the_dead(said, step))

    await stage.copy.pull()
    subjects = await stage.copy.log()
    assert sorted(subjects) == [f"Auto-release {HOST}/web:1.1.0", "First", f"Locked: {JOB}"]
    facts = {one.id: one.message for one in heard if isinstance(one.message, UpdatePushed)}
    assert sorted(one.kind for one in facts.values()) == ["auto", "policy"]
    revisions = {one.revision for one in facts.values()}
    assert revisions == set((await stage.copy.git("log", "--format=%H", "-2")).split())
    assert not [o for o in heard if isinstance(o.message, UpdateRejected | OrderRejected)]
    for name in (WEB, JOB):
        assert any(name in one.result for one in facts.values())


def is_told(said: list[Envelope]) -> bool:
    pushed = {one.message.kind for one in said if isinstance(one.message, UpdatePushed)}
    return pushed == {"auto", "policy"} and any(isinstance(o.message, OrderCompleted) for o in said)


def not_only_from_the_dead(said: list[Envelope], step: str) -> bool:
    """What was published before the crash must be settled by the second process, too."""
    published = step.startswith(("publish.after", "ack"))
    return not published or len({one.source for one in said}) > 1 or step == "ack.after@2"
