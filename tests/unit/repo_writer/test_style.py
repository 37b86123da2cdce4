"""How commits are made: their number, their words, their author."""

import pytest

from services.repo_writer.domain.style import Person, Style, person
from shared.contract import Cause, OrderCompleted, UpdatePushed, UpdateRejected
from tests.unit.repo_writer.fakes import FakeRepo
from tests.unit.repo_writer.given import (
    AUTOMATED,
    HOST,
    WEB,
    deployment,
    events,
    found,
    handle,
    policies,
    release,
    said,
)

API, JOB = "default:deployment/api", "default:deployment/job"
TWO = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations:
    fluxcd.io/automated: "true"
    fluxcd.io/tag.main: semver:~1
spec:
  template:
    spec:
      containers:
        - name: main
          image: registry.example.com/web:1.0.0
        - name: side
          image: registry.example.com/api:1.0.0
"""


def world(commit: str) -> FakeRepo:
    repo = FakeRepo({"web.yaml": TWO, "api.yaml": AUTOMATED.replace("web", "api")})
    repo.style = Style(commit=commit)
    return repo


SIDE = found().model_copy(
    update={
        "container": "side",
        "current": f"{HOST}/api:1.0.0",
        "chosen": f"{HOST}/api:1.1.0",
    }
)


@pytest.mark.parametrize(
    ("commit", "subjects", "workloads"),
    [
        ("batch", ["Auto-release multiple (2) images"], [{WEB, API}]),
        (
            "per-image",
            [f"Auto-release {HOST}/api:1.1.0", f"Auto-release {HOST}/web:1.1.0"],
            [{WEB, API}, {WEB}],
        ),
        (
            "per-workload",
            [f"Auto-release {HOST}/api:1.1.0", "Auto-release multiple (2) images"],
            [{API}, {WEB}],
        ),
    ],
)
async def test_what_is_found_together_is_as_many_commits_as_wished_for_in_one_push(
    commit: str, subjects: list[str], workloads: list[set[str]]
) -> None:
    repo = world(commit)
    group = said(found(), SIDE, found(workload=API))
    pushed = events(await handle(repo, group), UpdatePushed)

    assert (await repo.subjects())[-2::-1] == subjects
    assert [set(one.result) for one in pushed] == workloads
    assert repo.pushes == 1
    assert repo.file("web.yaml") == TWO.replace(":1.0.0", ":1.1.0")
    assert "api:1.1.0" in repo.file("api.yaml")
    assert events(await handle(repo, group), UpdatePushed) == pushed[::-1]


async def test_of_several_commits_one_that_cannot_be_edited_spoils_no_other() -> None:
    repo = world("per-workload")
    await repo.edit({"api.yaml": f"{AUTOMATED.replace('web', 'api')}---\n" * 2})
    outcome = await handle(repo, said(found(), found(workload=API)))

    assert [set(one.result) for one in events(outcome, UpdatePushed)] == [{WEB}]
    assert [one.workload for one in events(outcome, UpdateRejected)] == [API]


async def test_a_template_has_the_last_word_and_trailers_stay() -> None:
    repo = world("batch")
    template = "chore({{ workloads | length }}): {{ images | join(' ') }}"
    repo.style = Style(templates={"auto": template, "policy": "{{ user }}: {{ default }}"})
    cause = Cause(user="Ann\n\nFlux-Kind: release\nFlux-Order: x")
    order = said(policies(API, locked="true", cause=cause))
    pushed = events(await handle(repo, [*order, *said(found())]), UpdatePushed)

    assert await repo.subjects() == [f"chore(1): {HOST}/web:1.1.0", "Ann", "Begin"]
    assert [one.kind for one in pushed] == ["policy", "auto"]
    again = await handle(repo, order)
    assert len(events(again, OrderCompleted)) == 1
    assert len(repo.commits) == 3


async def test_a_template_that_makes_nothing_leaves_the_built_in_words() -> None:
    repo = world("batch")
    repo.style = Style(templates={"auto": "{% if message %}x{% endif %}\n"})
    await handle(repo, said(found()))

    assert (await repo.subjects())[0] == f"Auto-release {HOST}/web:1.1.0"


async def test_who_gave_an_order_is_its_author_if_wished_for() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED, "job.yaml": deployment("job", "1.0.0")})
    ann = Cause(user="Ann <ann@example.com>")
    await handle(repo, said(policies(JOB, note="x", cause=ann)))
    assert repo.authors[repo.branch] is None

    repo.style = Style(set_author=True)
    await handle(repo, said(policies(JOB, note="y", cause=ann)))
    assert repo.authors[repo.branch] == Person(name="Ann", email="ann@example.com")
    await handle(repo, said(release()))
    assert repo.authors[repo.branch] == Person(name="Flux", email="")
    await handle(repo, said(found(current="1.1.0", chosen="1.2.0")))
    assert repo.authors[repo.branch] is None


@pytest.mark.parametrize(
    ("user", "one"),
    [
        ("", None),
        (" <x@example.com>", None),
        ("\x00\n", None),
        ("Ann", Person(name="Ann", email="")),
        ("Ann <a@b> ", Person(name="Ann", email="a@b")),
        ("Ann\ncommitter Eve <e@e> 0 +0000\n <a@b>", Person(name="", email="")),
        ("A <a@b>\nparent 00 <c@d>", Person(name="", email="")),
        ("x" * 999, Person(name="x" * 200, email="")),
    ],
)
def test_a_name_from_outside_stays_a_name(user: str, one: Person | None) -> None:
    made = person(user)
    if one and not one.name:
        assert made
        assert not set("<>\n") & set(made.name + made.email)
    else:
        assert made == one
