"""A large installation does not hold up the event loop: everybody else waits meanwhile."""

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.gateway import answers
from services.gateway.domain.services import names, service
from shared.contract import (
    Container,
    StateDeclared,
    Tag,
    TagsListed,
    Workload,
)
from shared.runtime import garbage
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


@asynccontextmanager
async def the_longest_turn() -> AsyncIterator[list[float]]:
    """
    Measure how long the event loop was held at a time; its own work, not that of others.

    Garbage is collected as in a service: else the pauses are those of this test run's heap.
    """
    turns, done, usual = [0.0], asyncio.Event(), gc.get_threshold()
    garbage.keep_all()
    garbage.collect_seldom()

    async def beat() -> None:
        while not done.is_set():
            since = time.thread_time()
            await asyncio.sleep(0)
            turns.append(time.thread_time() - since)

    async with asyncio.TaskGroup() as group:
        group.create_task(beat())
        await asyncio.sleep(0)
        yield turns
        done.set()
    gc.set_threshold(*usual)
    gc.unfreeze()


async def test_a_thousand_workloads_are_listed_in_turns() -> None:
    async with a_stage(past=[many(1_000)], alive=()) as stage:
        view = stage.view
        async with the_longest_turn() as turns:
            answer = await answers.array(service(view, name, ()) for name in names(view))
        assert len(json.loads(answer.text)) == 1_000
        assert max(turns) < LONGEST


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
            answer = await answers.array(found)
        assert len(json.loads(answer.text)) == 50
        assert max(turns) < LONGEST
