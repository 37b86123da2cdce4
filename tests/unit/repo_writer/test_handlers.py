"""repo_writer decides which updates to write, and says so. No git, no broker."""

import pytest

from shared.contract import (
    ImagesFound,
    OrderCompleted,
    PlanMade,
    PlanQuestion,
    PolicyChange,
    PolicySpec,
    UpdatePushed,
    UpdateRejected,
    UpdateRequested,
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
    release,
    said,
)


async def test_an_update_changes_the_tag_and_nothing_else() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    outcome = await handle(repo, said(found()))

    assert repo.file("web.yaml") == AUTOMATED.replace("web:1.0.0", "web:1.1.0")
    (pushed,) = events(outcome, UpdatePushed)
    assert pushed.message.startswith(f"Auto-release {HOST}/web:1.1.0\n\nFlux-Kind: auto\n")
    assert pushed.result[WEB].changes[0].target == f"{HOST}/web:1.1.0"


async def test_what_is_found_together_is_one_commit() -> None:
    other = AUTOMATED.replace("web", "api")
    repo = FakeRepo({"web.yaml": AUTOMATED, "api.yaml": other})
    await handle(repo, said(found(), found(workload="default:deployment/api")))

    assert await repo.subjects() == ["Auto-release multiple (2) images", "Begin"]


async def test_a_redelivered_update_is_pushed_once_and_told_again_by_the_same_id() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    group = said(found())
    first = await handle(repo, group)
    second = await handle(repo, group)

    assert len(repo.commits) == 2
    assert [draft.id for draft in first.events] == [draft.id for draft in second.events]
    assert events(first, UpdatePushed) == events(second, UpdatePushed)


@pytest.mark.parametrize(
    ("files", "update", "reason"),
    [
        ({"web.yaml": AUTOMATED}, found(current="0.9.0"), "superseded"),
        ({}, found(), "not-found"),
        ({"pinned.yaml": LOCKED}, found(workload=PINNED), "locked"),
        ({"web.yaml": deployment("web", "1.0.0")}, found(), "not-automated"),
        ({"web.yaml": AUTOMATED.replace("~1", "~2")}, found(), "policy-changed"),
    ],
)
async def test_an_update_that_is_no_longer_wanted_is_rejected_with_the_reason(
    files: dict[str, str], update: ImagesFound, reason: str
) -> None:
    repo = FakeRepo({"README.md": "", **files})
    outcome = await handle(repo, said(update))

    (rejected,) = events(outcome, UpdateRejected)
    assert rejected.reason == reason
    assert repo.pushes == 0


async def test_a_branch_that_moved_is_written_on_its_new_head() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED, "note": "a"})
    repo.race = [{"note": "b"}]
    await handle(repo, said(found()))

    assert repo.pushes == 2
    assert repo.file("note") == "b"
    assert "web:1.1.0" in repo.file("web.yaml")


async def test_a_person_who_was_faster_wins() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    repo.race = [{"web.yaml": AUTOMATED.replace("web:1.0.0", "web:1.2.0")}]
    outcome = await handle(repo, said(found()))

    assert "web:1.2.0" in repo.file("web.yaml")
    assert [one.reason for one in events(outcome, UpdateRejected)] == ["superseded"]


async def test_a_lock_in_the_same_group_stops_the_update() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    lock = UpdateRequested(
        repository=REPOSITORY,
        spec=PolicySpec(changes={WEB: PolicyChange(add={"locked": "true"})}),
    )
    outcome = await handle(repo, said(found(), lock))

    assert await repo.subjects() == [f"Locked: {WEB}", "Begin"]
    assert [one.reason for one in events(outcome, UpdateRejected)] == ["locked"]


async def test_a_release_skips_the_locked_and_follows_the_filter() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED, "pinned.yaml": LOCKED})
    registry = FakeRegistry(web=("2.0.0", "1.1.0", "1.0.0"), pinned=("2.0.0",))
    outcome = await handle(repo, said(release()), registry)

    (done,) = events(outcome, OrderCompleted)
    assert done.result[WEB].status == "success"
    assert done.result[WEB].changes[0].target == f"{HOST}/web:1.1.0"
    assert (done.result[PINNED].status, done.result[PINNED].error) == ("skipped", "locked")
    assert await repo.subjects() == ["Release all latest to all", "Begin"]


@pytest.mark.parametrize(
    ("order", "statuses"),
    [
        (release(f"{HOST}/pinned:2.0.0", PINNED), {PINNED: "locked", WEB: "not included"}),
        (release(f"{HOST}/pinned:2.0.0", PINNED, force=True), {PINNED: ""}),
        (release(f"{HOST}/pinned:2.0.0", force=True), {PINNED: "locked"}),
        (release(f"{HOST}/web:9.9.9", WEB), {WEB: "cannot find one or more images"}),
        (release(f"{HOST}/web:1.0.0", WEB), {WEB: "image(s) up to date"}),
        (release(f"{HOST}/other:1.0.0", WEB), {WEB: "a different image"}),
        (
            release("<all latest>", "default:deployment/no"),
            {"default:deployment/no": "not found in repository"},
        ),
    ],
)
async def test_a_plan_says_for_each_workload_what_would_become_of_it(
    order: UpdateRequested, statuses: dict[str, str]
) -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED, "pinned.yaml": LOCKED})
    outcome = await handle(repo, said(PlanQuestion(repository=REPOSITORY, spec=order.spec)))

    (made,) = events(outcome, PlanMade)
    assert {name: made.result[name].error for name in statuses} == statuses
    assert repo.pushes == 0


async def test_a_redelivered_order_is_completed_by_the_commit_that_it_made() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    group = said(release())
    first = await handle(repo, group)
    second = await handle(repo, group)

    assert len(repo.commits) == 2
    assert events(first, OrderCompleted)[0].revision == repo.branch
    assert events(second, OrderCompleted)[0].revision == repo.branch


async def test_an_order_that_changes_nothing_is_rejected_in_flux_v1s_words() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    group = said(release())
    outcome = await handle(repo, group, FakeRegistry(web=("1.0.0",)))

    assert str(outcome.failed[group[0].id]) == "no changes made in repo"


async def test_an_invalid_tag_pattern_is_refused() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    spec = PolicySpec(changes={WEB: PolicyChange(add={"tag.main": "semver:foo"})})
    group = said(UpdateRequested(repository=REPOSITORY, spec=spec))
    outcome = await handle(repo, group)

    assert 'invalid tag pattern: "semver:foo"' in str(outcome.failed[group[0].id])
    assert repo.pushes == 0


async def test_policies_of_an_unknown_workload_are_skipped_without_a_commit() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    spec = PolicySpec(changes={"default:deployment/no": PolicyChange(add={"locked": "true"})})
    outcome = await handle(repo, said(UpdateRequested(repository=REPOSITORY, spec=spec)))

    (done,) = events(outcome, OrderCompleted)
    assert (done.revision, done.result["default:deployment/no"].status) == ("", "skipped")


async def test_a_read_only_repository_is_never_written() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED}, readonly=True)
    group = said(found(), release())
    outcome = await handle(repo, group)

    assert "read-only git repo" in str(outcome.failed[group[1].id])
    assert len(events(outcome, UpdateRejected)) == 1
    assert repo.pushes == 0
