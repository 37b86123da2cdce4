"""A large installation does not hold up the event loop: everybody else waits meanwhile."""

import json

from services.gateway import answers
from services.gateway.domain.services import names, service
from services.gateway.domain.view import View
from services.gateway.registry_tags import RegistryTags
from shared.contract import (
    Container,
    StateDeclared,
    Tag,
    TagsListed,
    Workload,
)
from tests.turns import LONGEST, least, the_turns
from tests.unit.gateway.stage import PAST, a_stage


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


async def test_thousands_of_workloads_are_listed_in_turns() -> None:
    async with a_stage(past=[many(20_000)], alive=()) as stage:
        assert await least(lambda: listing_workloads(stage.view)) < LONGEST


async def listing_workloads(view: View) -> float:
    async with the_turns() as turns:
        answer = await answers.array(service(view, name, ()) for name in names(view))
    assert len(json.loads(answer.text)) == 20_000
    return turns.longest


async def test_the_tags_of_many_images_are_told_in_turns() -> None:
    tags = {
        f"quay.io/shop/w{number}": TagsListed(
            image="x", tags=tuple(Tag(name=f"1.{n}.0") for n in range(1_000))
        )
        for number in range(50)
    }

    async def listed(_: object) -> object:
        return tags

    async with a_stage(past=[many(50)], alive=()) as stage:
        assert len(stage.view.workloads()) == 50
        stage.api._registry_tags._tags = listed  # the registry is played by what it has said
        assert await least(lambda: telling_tags(stage.api._registry_tags)) < LONGEST


async def telling_tags(registry_tags: RegistryTags) -> float:
    async with the_turns() as turns:
        found = await registry_tags.images((), "", ())
        answer = await answers.array(found)
    assert len(json.loads(answer.text)) == 50
    return turns.longest
