"""The sync tag follows what was applied, and stops nothing."""

from shared.contract import SyncCompleted, UpdatePushed
from tests.unit.repo_writer.fakes import FakeRepo
from tests.unit.repo_writer.given import AUTOMATED, REPOSITORY, events, found, handle, said


def completed(revision: str, sync: str = "apps") -> SyncCompleted:
    return SyncCompleted(sync=sync, target="default", repository=REPOSITORY, revision=revision)


async def test_the_last_revision_that_was_applied_is_marked() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    await handle(repo, said(completed("old"), completed("new"), completed("x", "other")))
    assert repo.marks == {"apps": "new", "other": "x"}
    assert repo.pushes == 0


async def test_a_tag_that_the_host_refuses_stops_no_update_and_no_other_tag() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    repo.rule = lambda text: text != "apps"
    outcome = await handle(repo, said(completed("a"), completed("b", "other"), found()))

    assert len(events(outcome, UpdatePushed)) == 1
    assert repo.marks == {"other": "b"}


async def test_what_is_marked_already_costs_nothing() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    await handle(repo, said(completed("a")))
    fetched = repo.fetches
    await handle(repo, said(completed("a")))
    assert repo.fetches == fetched


async def test_a_read_only_repository_gets_no_tag() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED}, readonly=True)
    await handle(repo, said(completed("a")))
    assert repo.marks == {}
