"""registry-scanner decides who is moved by which tag. No registry, no broker."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from services.registry_scanner import handlers
from services.registry_scanner.domain.causes import Causes
from services.registry_scanner.domain.found import needing_created
from services.registry_scanner.domain.wanted import Wanted
from services.registry_scanner.ports import UnreadableError
from shared.bus.memory import MemoryBroker
from shared.bus.port import Outcome
from shared.contract import (
    Container,
    Draft,
    ImagesFound,
    Message,
    ScanCompleted,
    ScanFailed,
    ScanRequested,
    StateDeclared,
    TagsListed,
    TagsQuestion,
    Workload,
)
from shared.images import Candidate
from shared.runtime.errors import TemporaryError

IMAGE = "registry.example.com/web"
START = datetime(2026, 1, 1, tzinfo=UTC)


def declared(image: str = f"{IMAGE}:1.0.0", **policies: str) -> StateDeclared:
    named = {name.replace("_main", ".main"): value for name, value in policies.items()}
    workload = Workload(
        id="default:deployment/web",
        file="web.yaml",
        containers=(Container(name="main", image=image),),
        policies=named,
        policy_digest="digest",
    )
    return StateDeclared(
        sync="apps",
        target="default",
        repository="r#main",
        url="u",
        branch="main",
        revision="abc",
        bundle="d",
        workloads=(workload,),
    )


AUTOMATED = declared(automated="true", tag_main="semver:1.x")


class FakeRegistries:
    """Has the tags that it is given, each a minute younger than the one before."""

    def __init__(self, *tags: str, error: Exception | None = None) -> None:
        self.made = 0
        self.asked_created: set[str] = set()
        self._tags = tags
        self._error = error

    def requests(self, _: str) -> int:
        return self.made

    async def tags(self, _: str) -> Sequence[str]:
        self.made += 1
        if self._error:
            raise self._error
        return self._tags

    async def candidates(
        self, _: str, tags: Sequence[str], created: Collection[str]
    ) -> Sequence[Candidate]:
        self.asked_created = set(created)
        self.made += 2 * len(created)
        return [
            Candidate(tag=tag, created=START + timedelta(minutes=n) if tag in created else None)
            for n, tag in enumerate(tags)
        ]


def wanted(*states: StateDeclared) -> Wanted:
    found = Wanted({"apps"})
    for one in states:
        found.fold(one)
    return found


async def scan(
    registries: FakeRegistries, uses: Wanted, *messages: Message
) -> tuple[Outcome, list[Message]]:
    group = [
        Draft(message=one).sealed("/test") for one in messages or (ScanRequested(image=IMAGE),)
    ]
    async with MemoryBroker().connect("/test") as bus:
        outcome = await handlers.on_group(
            IMAGE, group, wanted=uses, registries=registries, bus=bus, causes=Causes()
        )
    return outcome, [draft.message for draft in outcome.events]


async def test_a_newer_tag_is_found_in_the_spelling_of_git_for_one_request() -> None:
    registries = FakeRegistries("1.0.0", "1.1.0", "2.0.0", "latest")
    _, told = await scan(registries, wanted(AUTOMATED))

    found, completed = told
    assert isinstance(found, ImagesFound)
    assert (found.current, found.chosen) == (f"{IMAGE}:1.0.0", f"{IMAGE}:1.1.0")
    assert isinstance(completed, ScanCompleted)
    assert (completed.requests, completed.found) == (1, 1)


async def test_a_held_tag_is_not_proposed_and_a_newer_one_is() -> None:
    held = declared(image=f"{IMAGE}:1.0.0", automated="true", held="main: 1.1.0 (reverted)")
    for tags, proposed in ((("1.1.0",), []), (("1.1.0", "1.2.0"), [f"{IMAGE}:1.2.0"])):
        _, told = await scan(FakeRegistries("1.0.0", *tags), wanted(held))
        assert [one.chosen for one in told if isinstance(one, ImagesFound)] == proposed


async def test_creation_times_are_asked_only_of_tags_that_a_policy_orders_by() -> None:
    glob = declared(image=f"{IMAGE}:main-1", automated="true", tag_main="glob:main-*")
    registries = FakeRegistries("main-1", "main-2", "feature-3")
    _, told = await scan(registries, wanted(glob))

    assert registries.asked_created == {"main-1", "main-2"}
    assert isinstance(told[0], ImagesFound)
    assert told[0].chosen == f"{IMAGE}:main-2"


@pytest.mark.parametrize(
    "state",
    [
        declared(tag_main="semver:1.x"),
        declared(automated="true", locked="true"),
        declared(automated="true", ignore="true"),
        declared(automated="yes"),
    ],
)
async def test_with_automation_off_no_request_is_made(state: StateDeclared) -> None:
    registries = FakeRegistries("1.0.0", "1.1.0")
    _, told = await scan(registries, wanted(state))

    assert told == []
    assert registries.made == 0


async def test_a_persons_question_reads_an_image_that_is_not_automated() -> None:
    registries = FakeRegistries("1.0.0", "1.1.0")
    _, told = await scan(registries, wanted(declared()), TagsQuestion(image=IMAGE))

    listed = told[-1]
    assert isinstance(listed, TagsListed)
    assert [tag.name for tag in listed.tags] == ["1.0.0", "1.1.0"]
    assert not any(isinstance(one, ImagesFound) for one in told)


async def test_a_registry_that_refuses_is_told_and_not_tried_in_a_loop() -> None:
    registries = FakeRegistries(error=UnreadableError("no such image"))
    outcome, told = await scan(
        registries, wanted(AUTOMATED), ScanRequested(image=IMAGE), TagsQuestion(image=IMAGE)
    )

    assert not outcome.failed
    assert [type(one) for one in told] == [ScanFailed, TagsListed]


async def test_a_registry_that_is_away_is_a_temporary_error() -> None:
    registries = FakeRegistries(error=TemporaryError("registry x", "refused"))
    with pytest.raises(TemporaryError):
        await scan(registries, wanted(AUTOMATED))


async def test_an_empty_list_of_tags_moves_nobody() -> None:
    _, told = await scan(FakeRegistries(), wanted(AUTOMATED))
    assert [type(one) for one in told] == [ScanCompleted]


def test_only_what_is_new_is_told_when_a_declaration_is_said_again() -> None:
    uses = Wanted({"apps"})
    assert uses.fold(AUTOMATED) == {IMAGE}
    assert uses.fold(AUTOMATED) == frozenset()
    assert uses.fold(declared(f"{IMAGE}:1.1.0", automated="true")) == {IMAGE}
    assert uses.fold(declared()) == frozenset()
    assert uses.images() == frozenset()


def test_semver_needs_no_creation_times() -> None:
    assert needing_created(["1.0.0", "2.0.0"], wanted(AUTOMATED).of(IMAGE)) == frozenset()
