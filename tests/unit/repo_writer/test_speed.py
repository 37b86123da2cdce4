"""Thousands of workloads are written in seconds, and nobody waits for it meanwhile."""

import time

from services.repo_writer.domain.newest import Newest
from services.repo_writer.domain.plan import Edits, set_images
from services.repo_writer.domain.reading import read
from services.repo_writer.editing import edited
from shared.contract import Change, ImageSpec, OrderCompleted, UpdatePushed
from shared.images import Candidate
from tests.turns import LONGEST, least, the_turns
from tests.unit.repo_writer.fakes import FakeRegistry, FakeRepo
from tests.unit.repo_writer.given import (
    HOST,
    deployment,
    events,
    found,
    handle,
    release,
    said,
)

MANY = 4_000


def automated(name: str) -> str:
    return deployment(name, "1.0.0", automated="true", **{"tag.main": "semver:~1"})


def registry() -> FakeRegistry:
    return FakeRegistry(**{f"w{number}": ("1.1.0", "1.0.0") for number in range(MANY)})


def file_of(number: int, *more: str) -> str:
    return "---\n".join([*(automated(f"w{one}") for one in range(number)), *more])


async def test_a_release_of_thousands_of_workloads_holds_up_nobody() -> None:
    assert await least(releasing) < LONGEST


async def releasing() -> float:
    repo = FakeRepo({f"w{number}.yaml": automated(f"w{number}") for number in range(MANY)})
    await repo.state(repo.branch)
    group = said(release())
    async with the_turns() as turns:
        outcome = await handle(repo, group, registry())
    assert len(events(outcome, OrderCompleted)[0].result) == MANY
    return turns.longest


async def test_thousands_of_updates_in_one_file_hold_up_nobody() -> None:
    assert await least(updating) < LONGEST


async def updating() -> float:
    repo = FakeRepo({"all.yaml": file_of(MANY)})
    await repo.state(repo.branch, ["apps"])
    group = said(*(found(workload=f"default:deployment/w{number}") for number in range(MANY)))
    async with the_turns() as turns:
        outcome = await handle(repo, group)
    assert len(events(outcome, UpdatePushed)[0].result) == MANY
    return turns.longest


async def test_a_bad_edit_among_many_of_a_file_costs_a_few_readings_of_it() -> None:
    odd = automated("odd").replace("image: ", "image: &x ") + "        - {name: copy, image: *x}\n"
    good, bad = file_of(300), file_of(300, odd)
    once = min([await cpu(good) for _ in range(3)])
    assert min([await cpu(bad) for _ in range(3)]) < 60 * once


async def cpu(text: str) -> float:
    repo = FakeRepo({"all.yaml": text})
    edits: Edits = {
        one.spot: set_images(one, [Change(container="main", current="", target=f"{HOST}/x:2")])
        for one in (await repo.state(repo.branch)).workloads.values()
    }
    started = time.process_time()
    _, failures = await edited(repo, repo.branch, edits)
    assert len(failures) == text.count("&x")
    return time.process_time() - started


def test_what_many_containers_have_in_common_is_chosen_once() -> None:
    tags = {f"{HOST}/app": tuple(Candidate(tag=f"1.{number}.0") for number in range(1_000))}
    text = automated("app").encode()
    (workload,) = read("a", text, "default").workloads
    newest = Newest(ImageSpec(workloads=("<all>",), image="<all latest>"), tags)
    assert str(newest.of(workload, "main")) == f"{HOST}/app:1.999.0"
    tags[f"{HOST}/app"] = ()  # whoever chose again would find none
    assert str(newest.of(workload, "main")) == f"{HOST}/app:1.999.0"
