"""Webhooks are passed on where somebody cares, however they spell what moved."""

import pytest

from shared.contract import Message, PollRequested, ScanRequested
from tests.unit.gateway.stage import APPS, PAST, REPOSITORY, StateDeclared, a_stage, workload

OTHER = {"name": "other", "git": {"url": "https://git.example.com/shop/other.git"}}


def git(url: str, branch: str = "main") -> dict:
    return {"Kind": "git", "Source": {"URL": url, "Branch": branch}}


def image(domain: str, name: str) -> dict:
    return {"Kind": "image", "Source": {"Name": {"Domain": domain, "Image": name}}}


async def signals(body: object, past: tuple[Message, ...] = PAST) -> list[str]:
    """Post *body*; return the subjects that are to be looked at."""
    said: list[Message] = []
    async with a_stage(syncs=[APPS, OTHER], past=past, alive=()) as stage:
        publish = stage.bus.publish

        async def noted(*drafts: object) -> None:
            said.extend(draft.message for draft in drafts)
            await publish(*drafts)

        stage.bus.publish = noted
        assert await stage.post("v11/notify", body) == (202, None)
    return [one.subject for one in said if isinstance(one, PollRequested | ScanRequested)]


@pytest.mark.parametrize(
    "url",
    [
        "git@git.example.com:shop/config.git",
        "git@git.example.com:shop/config",
        "ssh://git@git.example.com/shop/config.git",
        "ssh://git@git.example.com:2222/shop/config",
        "https://somebody:secret@git.example.com/shop/config.git",
        "https://GIT.example.com/shop/config/",
    ],
)
async def test_a_repository_is_known_in_every_spelling_of_its_url(url: str) -> None:
    assert await signals(git(url)) == [REPOSITORY]


@pytest.mark.parametrize("branch", ["other", "refs/tags/main", "mai"])
async def test_another_branch_of_our_repository_is_none_of_our_business(branch: str) -> None:
    assert await signals(git("git@git.example.com:shop/config.git", branch)) == []


async def test_a_branch_without_a_name_may_be_ours() -> None:
    assert await signals(git("git@git.example.com:shop/config.git", "")) == [REPOSITORY]


async def test_where_the_branch_is_the_remotes_choice_every_branch_may_be_ours() -> None:
    found = await signals(git("git@git.example.com:shop/other.git", "trunk"))
    assert found == ["git.example.com/shop/other#HEAD"]


@pytest.mark.parametrize(
    "url", ["git@mirror.example.org:shop/config.git", "ssh://git@host:shop/config.git", "", "?"]
)
async def test_a_url_that_we_do_not_know_may_be_another_name_of_ours(url: str) -> None:
    assert await signals(git(url)) == [REPOSITORY, "git.example.com/shop/other#HEAD"]


async def test_only_images_that_follow_their_registry_are_read() -> None:
    assert await signals(image("quay.io", "shop/cart")) == ["quay.io/shop/cart"]
    assert await signals(image("quay.io", "shop/pay")) == []
    assert await signals(image("", "library/nginx")) == []


@pytest.mark.parametrize("policy", ["locked", "ignore"])
async def test_an_automated_image_that_may_not_change_is_not_read(policy: str) -> None:
    held = workload("shop:deployment/cart", automated="true", **{policy: "true"})
    state = next(one for one in PAST if isinstance(one, StateDeclared))
    past = (state.model_copy(update={"workloads": (held,)}),)
    assert await signals(image("quay.io", "shop/cart"), past) == []


async def test_names_are_read_in_any_case_as_the_original_did() -> None:
    body = {"kind": "image", "source": {"name": {"domain": "quay.io", "image": "shop/cart"}}}
    assert await signals(body) == ["quay.io/shop/cart"]


@pytest.mark.parametrize(
    "body",
    [
        {"Kind": "tag"},
        {"Kind": 1},
        {},
        [],
        {"Kind": "git", "Source": "x"},
        {"Kind": "git", "Source": {"URL": 1}},
        {"Kind": "image", "Source": {"Name": "quay.io/shop/cart"}},
        {"Kind": "image", "Source": {"Name": {"Image": "UPPER"}}},
        {"Kind": "image"},
    ],
)
async def test_what_is_no_notification_is_refused_with_the_reason(body: object) -> None:
    async with a_stage(past=()) as stage:
        status, error = await stage.post("v11/notify", body)
        assert status == 400
        assert error["error"]
