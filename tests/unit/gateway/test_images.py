"""Images are listed as the original does: newest first by the filter's order, and counted so."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from services.gateway.domain import images
from shared.contract import Envelope, Message, Tag, TagsListed, TagsQuestion
from shared.images import TagPolicy
from shared.manifests.holds import Hold
from tests.unit.gateway.stage import CART, IMAGE, PAST, StateDeclared, a_stage, workload


def tags(**days: int | None) -> list[Tag]:
    """Return tags, created on a day of May; `v` is left out before a digit, `_` is a dot."""
    return [
        Tag(
            name=name.removeprefix("v").replace("_", "."),
            created=datetime(2024, 5, day, 8, tzinfo=UTC) if day else None,
        )
        for name, day in days.items()
    ]


def shape(pattern: str, current: str, found: Sequence[Tag]) -> dict:
    return images.container("cart", f"{IMAGE}:{current}", TagPolicy.parse(pattern), found, None)


def names(found: dict) -> list[str]:
    return [one["ID"].rpartition(":")[2] for one in found["Available"]]


def counts(found: dict) -> list[int]:
    keys = ("Available", "NewAvailable", "Filtered", "NewFiltered")
    return [found.get(f"{key}ImagesCount", 0) for key in keys]


def test_by_creation_time_the_newest_is_first_and_of_one_age_the_smallest() -> None:
    found = shape("glob:*", "b", tags(a=2, b=1, d=3, c=3, x=None, latest=9))
    assert names(found) == ["latest", "c", "d", "a", "b", "x"]
    assert counts(found) == [6, 4, 5, 3]
    assert found["LatestFiltered"]["ID"] == f"{IMAGE}:c"


def test_by_version_the_highest_is_first_and_what_is_none_is_last_by_name() -> None:
    found = shape("semver:~1", "1.9.0", tags(v1_9_0=9, v1_10=1, v1_10_0=1, v2_0_0=1, main=9, dev=1))
    assert names(found) == ["2.0.0", "1.10.0", "1.10", "1.9.0", "dev", "main"]
    assert counts(found) == [6, 3, 3, 2]


def test_only_glob_latest_matches_latest() -> None:
    found = tags(latest=3, a=1)
    assert counts(shape("glob:latest", "a", found)) == [2, 1, 1, 1]
    assert counts(shape("glob:*", "a", found)) == [2, 1, 1, 0]
    assert shape("glob:l*", "a", found)["LatestFiltered"] == {"ID": "", "Labels": {}}


def test_a_current_tag_that_the_registry_has_not_is_still_shown_and_compared() -> None:
    found = shape("semver:*", "1.5.0", tags(v1_6_0=1, v1_4_0=2))
    assert found["Current"] == {"ID": f"{IMAGE}:1.5.0", "Labels": {}}
    assert counts(found) == [2, 1, 2, 1]
    assert counts(shape("glob:*", "gone", tags(a=2, b=1)))[1] == 2


def test_counting_stops_at_the_first_that_is_not_newer() -> None:
    found = shape("glob:*", "b", tags(a=1, b=2, c=3, d=None))
    assert counts(found)[1] == 1


def test_an_image_that_is_no_reference_says_so_and_keeps_to_the_fields() -> None:
    found = images.container("c", "${IMAGE}", TagPolicy.parse("glob:*"), [], None)
    assert found["Current"]["ID"] == ""
    assert "is no image reference" in found["AvailableError"]
    assert images.only(["Name"], found) == {"Name": "c"}


def test_times_are_told_with_their_zone() -> None:
    (one,) = shape("glob:*", "a", tags(a=2))["Available"]
    assert one["CreatedAt"] == "2024-05-02T08:00:00Z"
    (one,) = shape("glob:*", "a", [Tag(name="a", created=datetime(1, 1, 1, tzinfo=UTC))])[
        "Available"
    ]
    assert "CreatedAt" not in one


class Registry:
    """Plays registry-scanner: *dated* tags have their creation times only if that is asked."""

    def __init__(self, count: int, *, answers_dated: bool = True) -> None:
        self.asked: list[bool] = []
        self._names = [f"1.{number}.0" for number in range(count)]
        self._answers_dated = answers_dated

    def __call__(self, envelope: Envelope) -> Sequence[Message]:
        match envelope.message:
            case TagsQuestion(image=image, created=created):
                self.asked.append(created)
                if created and not self._answers_dated:
                    return []
                when = datetime(2024, 5, 1, tzinfo=UTC) if created else None
                found = tuple(Tag(name=name, created=when) for name in self._names)
                return [TagsListed(image=image, tags=found)]
        return []


async def available(registry: Registry, deadline: float = 10.0) -> list[dict]:
    async with a_stage(answers=registry, deadline=deadline) as stage:
        status, found = await stage.get(
            "v10/images", containerFields="", namespace="", service=CART
        )
        assert status == 200
        return list(found[0]["Containers"][0]["Available"])


async def test_creation_times_are_asked_for_where_there_are_not_too_many() -> None:
    registry = Registry(3)
    assert all("CreatedAt" in one for one in await available(registry))
    assert registry.asked == [False, True]


async def test_of_very_many_tags_no_creation_times_are_asked_for() -> None:
    registry = Registry(300)
    assert len(await available(registry)) == 300
    assert registry.asked == [False]


async def test_creation_times_that_do_not_come_in_time_are_left_out() -> None:
    found = await available(Registry(3, answers_dated=False), deadline=0.5)
    assert [one.get("CreatedAt") for one in found] == [None, None, None]


async def test_images_of_a_namespace_and_of_all() -> None:
    async with a_stage() as stage:
        for query, expected in (
            ({"namespace": "shop", "service": "<all>"}, 3),
            ({"namespace": "other", "service": "<all>"}, 0),
            ({"namespace": "", "service": ""}, 3),
            ({}, 3),
            ({"service": "shop:deployment/unknown"}, 0),
            ({"service": "shop/cart"}, 1),
        ):
            for route in ("v6/images", "v10/images"):
                status, found = await stage.get(route, **query)
                assert (status, len(found)) == (200, expected)
        status, _ = await stage.get("v10/images", namespace="shop", service=CART)
        assert status == 422


@pytest.mark.parametrize("image", ["nginx", f"{IMAGE}@sha256:{'a' * 64}"])
async def test_an_image_without_a_tag_is_told_as_it_is_written(image: str) -> None:
    one = workload(CART)
    container = one.containers[0].model_copy(update={"image": image})
    state = next(one for one in PAST if isinstance(one, StateDeclared))
    bare = one.model_copy(update={"containers": (container,)})
    async with a_stage(past=(state.model_copy(update={"workloads": (bare,)}),)) as stage:
        _, found = await stage.get("v10/images", service=CART)
        assert found[0]["Containers"][0]["Current"]["ID"] == image


def test_a_held_tag_is_told_with_its_reason() -> None:
    policy, hold = TagPolicy.parse("semver:*"), Hold(tag="1.6.0", reason="reverted")
    found = images.container("cart", f"{IMAGE}:1.5.0", policy, tags(v1_6_0=1), None, hold=hold)
    assert found["Held"] == {"Tag": "1.6.0", "Reason": "reverted"}
    assert "Held" not in shape("semver:*", "1.5.0", tags(v1_6_0=1))
