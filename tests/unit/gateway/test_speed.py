"""A large installation does not hold up the event loop: everybody else waits meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from services.gateway.domain import images
from services.gateway.domain.services import names, service
from shared.contract import (
    Container,
    Envelope,
    Message,
    StateDeclared,
    Tag,
    TagsListed,
    TagsQuestion,
    Workload,
)
from shared.images import TagPolicy
from tests.unit.gateway.stage import PAST, a_stage

LONGEST = 0.05


def many(workloads: int) -> StateDeclared:
    state = next(one for one in PAST if isinstance(one, StateDeclared))
    some = tuple(
        Workload(
            id=f"ns{number % 20}:deployment/w{number}",
            file="a.yaml",
            containers=(Container(name="c", image=f"quay.io/shop/w{number % 50}:1.3.0"),),
            policies={"automated": "true", "tag.c": "semver:~1"},
        )
        for number in range(workloads)
    )
    return state.model_copy(update={"workloads": some})


def registry(envelope: Envelope) -> Sequence[Message]:
    match envelope.message:
        case TagsQuestion(image=image):
            when = datetime(2024, 5, 1, tzinfo=UTC)
            tags = tuple(Tag(name=f"1.{n}.0", created=when) for n in range(1_000))
            return [TagsListed(image=image, tags=tags)]
    return []


@asynccontextmanager
async def the_longest_turn() -> AsyncIterator[list[float]]:
    """Measure how long the event loop was held at a time."""
    turns, done = [0.0], asyncio.Event()

    async def beat() -> None:
        while not done.is_set():
            since = time.perf_counter()
            await asyncio.sleep(0)
            turns.append(time.perf_counter() - since)

    async with asyncio.TaskGroup() as group:
        group.create_task(beat())
        yield turns
        done.set()


async def test_a_thousand_workloads_are_listed_in_turns() -> None:
    async with a_stage(past=[many(1_000)], alive=()) as stage:
        view = stage.view
        async with the_longest_turn() as turns:
            found = names(view)
            for name in found:
                service(view, name, ())
        assert len(found) == 1_000
        _, listed = await stage.get("v6/services", namespace="")
        assert len(listed) == 1_000
        assert max(turns) < LONGEST


@pytest.mark.parametrize("pattern", ["semver:~1", "glob:1.*", "regexp:^1"])
def test_a_thousand_tags_are_ordered_in_one_turn(pattern: str) -> None:
    tags = [Tag(name=f"1.{n}.0", created=datetime(2024, 5, 1, tzinfo=UTC)) for n in range(1_000)]
    policy = TagPolicy.parse(pattern)
    since = time.perf_counter()
    images.container("c", "quay.io/shop/c:1.3.0", policy, tags, None)
    assert time.perf_counter() - since < LONGEST


async def test_the_tags_of_many_images_are_told_in_turns() -> None:
    async with a_stage(past=[many(50)], alive=()) as stage:
        state = stage.view.workloads()
        tags = {
            f"quay.io/shop/w{number}": TagsListed(
                image="x", tags=tuple(Tag(name=f"1.{n}.0") for n in range(1_000))
            )
            for number in range(50)
        }
        assert len(state) == 50

        async def listed(_: object) -> object:
            return tags

        stage.api._registry_tags._tags = listed  # the registry is played by what it has said
        async with the_longest_turn() as turns:
            found = await stage.api._registry_tags.images((), "", ())
        assert len(found) == 50
        assert max(turns) < LONGEST
