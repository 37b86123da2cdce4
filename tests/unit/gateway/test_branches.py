"""The gateway knows which commits wait to be applied, and says none too early."""

from services.gateway.domain.branches import Branch
from shared.contract import Commit, RevisionObserved, SyncCompleted
from tests.unit.gateway.stage import APPS, NEW, OLD, REPOSITORY, URL, a_stage

OTHER = "git.example.com/shop/other#main"


def observed(*newest_first: str, repository: str = REPOSITORY) -> RevisionObserved:
    commits = tuple(
        Commit(revision=one, author="Flux", message="m", time="2026-01-01T00:00:00Z")
        for one in newest_first
    )
    return RevisionObserved(
        repository=repository, url=URL, branch="main", revision=newest_first[0], commits=commits
    )


def completed(revision: str, sync: str = "apps", repository: str = REPOSITORY) -> SyncCompleted:
    return SyncCompleted(sync=sync, target="default", repository=repository, revision=revision)


def test_a_branch_that_was_rewritten_forgets_what_is_no_more() -> None:
    branch = Branch()
    branch.observe(["c", "b", "a"])
    branch.push("d")
    branch.observe(["e", "b", "a"])
    assert branch.revisions == ["e", "b", "a"]


async def test_before_the_first_sync_everything_up_to_the_revision_is_pending() -> None:
    async with a_stage(past=[observed(NEW, OLD)]) as stage:
        assert await stage.get("v6/sync", ref=NEW[:7]) == (200, [NEW, OLD])
        assert await stage.get("v6/sync", ref=OLD) == (200, [OLD])


async def test_a_commit_is_pending_until_the_last_sync_of_its_repository_has_it() -> None:
    more = {"name": "more", "git": {"url": URL, "branch": "main", "paths": ["more"]}}
    async with a_stage(syncs=[APPS, more]) as stage:
        await stage.say(observed(NEW, OLD), completed(NEW))
        assert await stage.get("v6/sync", ref=NEW) == (200, [NEW, OLD])
        await stage.say(completed(OLD, "more"))
        assert await stage.get("v6/sync", ref=NEW) == (200, [NEW])
        await stage.say(completed(NEW, "more"))
        assert await stage.get("v6/sync", ref=NEW) == (200, [])


async def test_a_sync_that_moved_to_another_repository_has_applied_nothing_of_it() -> None:
    async with a_stage(past=[observed(OLD), completed(OLD, repository=OTHER)]) as stage:
        assert await stage.get("v6/sync", ref=OLD) == (200, [OLD])


async def test_revisions_of_repositories_of_other_targets_are_not_known() -> None:
    async with a_stage() as stage:
        await stage.say(observed("d" * 40, repository=OTHER))
        assert (await stage.get("v6/sync", ref="d" * 40))[0] == 422


async def test_the_head_may_be_called_by_its_names() -> None:
    async with a_stage(past=[observed(NEW, OLD)]) as stage:
        for ref in ("", "HEAD", "main", NEW.upper()):
            assert await stage.get("v6/sync", ref=ref) == (200, [NEW, OLD])


async def test_a_revision_is_not_found_by_fewer_characters_than_git_takes() -> None:
    async with a_stage() as stage:
        status, error = await stage.get("v6/sync", ref=OLD[:3])
        assert status == 422
        assert OLD[:3] in error["help"]
