"""What comes together: orders before findings, one bad part alone, nothing twice."""

import pytest

from services.repo_writer.domain.trailers import read
from shared.bus.port import Outcome
from shared.contract import (
    Cause,
    OrderCompleted,
    PlanMade,
    PlanQuestion,
    UpdatePushed,
    UpdateRejected,
)
from tests.unit.repo_writer.fakes import FakeRegistry, FakeRepo
from tests.unit.repo_writer.given import (
    AUTOMATED,
    HOST,
    LOCKED,
    PINNED,
    REPOSITORY,
    WEB,
    deployment,
    events,
    found,
    handle,
    policies,
    release,
    said,
)

API = "default:deployment/api"
OTHER = AUTOMATED.replace("web", "api")


def rejected(outcome: Outcome) -> dict[str, str]:
    return {one.workload: one.reason for one in events(outcome, UpdateRejected)}


@pytest.mark.parametrize("first", [True, False])
async def test_a_lock_that_comes_with_an_update_wins(*, first: bool) -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    group = [policies(WEB, locked="true"), found()]
    outcome = await handle(repo, said(*(group if first else reversed(group))))

    assert rejected(outcome) == {WEB: "locked"}
    assert await repo.subjects() == [f"Locked: {WEB}", "Begin"]


async def test_orders_of_one_group_are_commits_in_their_order_on_one_push() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    orders = [policies(WEB, locked="true"), policies(WEB, "locked", cause=Cause(message="Go\n"))]
    outcome = await handle(repo, said(*orders, found()))

    assert await repo.subjects() == [
        f"Auto-release {HOST}/web:1.1.0",
        "Go",
        f"Locked: {WEB}",
        "Begin",
    ]
    assert repo.pushes == 1
    previous = [one.previous for one in events(outcome, UpdatePushed)]
    assert previous == sorted(previous)


async def test_an_order_that_came_twice_in_one_group_is_carried_out_once() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    group = said(release())
    outcome = await handle(repo, [*group, *group])

    assert not outcome.failed
    assert len(events(outcome, OrderCompleted)) == len(events(outcome, UpdatePushed)) == 1


async def test_an_update_that_a_later_one_replaces_is_told() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    outcome = await handle(repo, said(found("1.1.0"), found("1.2.0"), found("1.2.0")))

    assert "web:1.2.0" in repo.file("web.yaml")
    (one,) = events(outcome, UpdateRejected)
    assert (one.chosen, one.reason) == (f"{HOST}/web:1.1.0", "superseded")


@pytest.mark.parametrize(
    ("chosen", "reason"),
    [
        (
            "evil.example.com/web:1.1.0",
            f"unwritable: evil.example.com/web:1.1.0 is no tag of {HOST}",
        ),
        (f"{HOST}/web:2.0.0", "unwritable: semver:~1 matches no 2.0.0"),
        (f"{HOST}/web", f"unwritable: {HOST}/web is no tag"),
        ("not an image", "unwritable: 'not an image' is no image"),
    ],
)
async def test_nothing_is_written_that_the_policy_does_not_ask_for(
    chosen: str, reason: str
) -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    outcome = await handle(repo, said(found().model_copy(update={"chosen": chosen})))

    assert rejected(outcome)[WEB].startswith(reason)
    assert repo.pushes == 0


async def test_two_workloads_that_share_an_anchor_move_together() -> None:
    same = found(workload=API).model_copy(
        update={"current": f"{HOST}/web:1.0.0", "chosen": f"{HOST}/web:1.1.0"}
    )
    text = f"""\
apiVersion: v1
kind: List
items:
- {AUTOMATED.replace("image: ", "image: &it ").replace(chr(10), chr(10) + "  ").rstrip()}
- {OTHER.replace(f"{HOST}/api:1.0.0", "*it").replace(chr(10), chr(10) + "  ").rstrip()}
"""
    repo = FakeRepo({"all.yaml": text})
    outcome = await handle(repo, said(found(), same))

    assert set(events(outcome, UpdatePushed)[0].result) == {WEB, API}
    assert repo.file("all.yaml") == text.replace("web:1.0.0", "web:1.1.0").replace(
        "*it", f"{HOST}/web:1.1.0"
    )


async def test_two_workloads_of_one_file_are_one_commit() -> None:
    both = f"{AUTOMATED}---\n{OTHER}"
    repo = FakeRepo({"all.yaml": both})
    outcome = await handle(repo, said(found(), found(workload=API)))

    (pushed,) = events(outcome, UpdatePushed)
    assert set(pushed.result) == {WEB, API}
    assert repo.file("all.yaml") == both.replace(":1.0.0", ":1.1.0")


async def test_a_workload_that_cannot_be_edited_fails_alone_and_says_where() -> None:
    merged = OTHER.replace("        - name: main\n", "        - &c\n          name: main\n") + (
        "      initContainers:\n        - <<: *c\n          name: init\n"
    )
    repo = FakeRepo({"all.yaml": f"{AUTOMATED}---\n{merged}"})
    outcome = await handle(repo, said(found(), found(workload=API)))

    assert list(events(outcome, UpdatePushed)[0].result) == [WEB]
    assert rejected(outcome)[API].startswith(f"unwritable: all.yaml: line 15: {API}: ")
    assert repo.file("all.yaml") == f"{AUTOMATED.replace('web:1.0.0', 'web:1.1.0')}---\n{merged}"


async def test_a_workload_that_stands_twice_in_a_file_is_not_written_and_told() -> None:
    repo = FakeRepo({"all.yaml": f"{AUTOMATED}---\n{AUTOMATED}"})
    assert rejected(await handle(repo, said(found()))) == {
        WEB: "unwritable: it is declared in all.yaml:1 and in all.yaml:15; leave only one of them"
    }


async def test_a_refused_commit_spoils_neither_other_orders_nor_findings() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED, "pinned.yaml": LOCKED})
    repo.rule = lambda message: "without ticket" not in message
    bad = policies(PINNED, "locked", cause=Cause(message="without ticket"))
    question = PlanQuestion(repository=REPOSITORY, spec=release().spec)
    group = said(policies(WEB, locked_msg="x"), bad, question)
    outcome = await handle(repo, group)

    assert {key: "no ticket" in str(error) for key, error in outcome.failed.items()} == {
        group[1].id: True
    }
    assert [one.order for one in events(outcome, OrderCompleted)] == [group[0].id]
    assert len(events(outcome, PlanMade)) == 1
    assert "locked_msg" in repo.file("web.yaml")
    assert repo.file("pinned.yaml") == LOCKED


async def test_updates_that_the_host_refuses_are_told_with_its_words() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    repo.rule = lambda message: "Auto" not in message
    outcome = await handle(repo, said(found()))

    assert "unwritable: git host" in rejected(outcome)[WEB]
    assert "no ticket" in rejected(outcome)[WEB]
    assert repo.file("web.yaml") == AUTOMATED


async def test_what_is_left_out_of_a_read_only_repository_is_told_once() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED, "pinned.yaml": LOCKED}, readonly=True)
    outcome = await handle(repo, said(found(), found(workload=PINNED)))

    assert len(events(outcome, UpdateRejected)) == 2
    assert rejected(outcome)[PINNED] == "locked"
    assert rejected(outcome)[WEB].endswith("read-only git repo")


@pytest.mark.parametrize("name", ["a b", "x/y", "-a", "a" * 64, "ä", "tag.my container", "a\nb"])
async def test_a_policy_that_kubernetes_would_not_take_is_refused(name: str) -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    group = said(policies(WEB, **{name: "x"}))
    outcome = await handle(repo, group)

    assert "is no name of a policy" in str(outcome.failed[group[0].id])
    assert repo.pushes == 0


@pytest.mark.parametrize(
    "text", ["a\nb: c", "# 'x' \"y\"", "- {[}]", "x" * 10_000, "ä\u2028\x00\x1b[31m", "  ", "~"]
)
async def test_a_persons_words_stay_words_in_file_and_commit(text: str) -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    cause = Cause(user=f"Somebody {text}", message=text)
    order = policies(WEB, locked="true", locked_msg=text, cause=cause)
    group = said(order)
    (pushed,) = events(await handle(repo, group), UpdatePushed)

    assert (await repo.state(repo.branch)).workloads[WEB].policies.locked_message == text
    told = read(pushed.message)
    assert told
    assert told.order == group[0].id
    assert not {"\x00", "\x1b"} & set(pushed.message)
    assert pushed.message.strip() == pushed.message[:-1]


async def test_a_lock_in_words_that_are_no_text_is_refused() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    group = said(policies(WEB, locked_msg="\ud800"))
    assert (await handle(repo, group)).failed


async def test_a_release_of_all_workloads_of_a_file_is_one_commit() -> None:
    repo = FakeRepo({"all.yaml": f"{AUTOMATED}---\n{deployment('pinned', '1.0.0')}"})
    registry = FakeRegistry({"2.0.0": 2, "1.0.0": 1}, web=("1.1.0",), pinned=("2.0.0", "1.0.0"))
    (done,) = events(await handle(repo, said(release()), registry), OrderCompleted)

    assert {name: one.status for name, one in done.result.items()} == {
        WEB: "success",
        PINNED: "success",
    }
    assert len(repo.commits) == 2
