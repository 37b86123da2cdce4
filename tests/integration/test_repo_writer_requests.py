"""Updates that wait in a pull request: on a real git host, and stand-ins for the hosts' APIs."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.repo_writer.git_repo import GitRepo
from shared.contract import Cause, OrderCompleted, UpdatePushed, UpdateRejected
from shared.runtime.errors import TemporaryError
from tests.integration.pull_hosts import RULES, TOKEN, PullHost, pull_host, words
from tests.integration.writer_world import BY_BOTH_DOORS, World, handle
from tests.unit.repo_writer.given import (
    AUTOMATED,
    HOST,
    WEB,
    deployment,
    events,
    found,
    policies,
    said,
)

pytestmark = BY_BOTH_DOORS

UPDATES = "flux/updates"
JOB = "default:deployment/job"


@pytest.fixture(params=sorted(RULES))
async def host(request: pytest.FixtureRequest, world: World) -> AsyncIterator[PullHost]:
    async with pull_host(request.param, world.repository.name) as found_:
        yield found_


async def writer(world: World, host: PullHost, name: str = "mirror") -> GitRepo:
    token = world.root / "token"
    token.write_text(TOKEN)
    request: dict[str, Any] = {"host": host.kind, "token": {"file": str(token)}, "api": host.url}
    return await world.writer(name, push_branch=UPDATES, pull_request=request)


async def waiting(world: World) -> list[str]:
    await world.copy.git("fetch", "--quiet", "--force", "origin", f"{UPDATES}:{UPDATES}")
    await world.copy.git("fetch", "--quiet", "origin")
    return await world.copy.log(f"origin/main..{UPDATES}")


async def test_a_request_is_opened_updated_and_closed(world: World, host: PullHost) -> None:
    await world.copy.commit_and_push("Job", {"job.yaml": deployment("job", "1.0.0")})
    repo = await writer(world, host)
    await handle(repo, said(found(current="0.9.0")))
    assert UPDATES not in await world.copy.git("ls-remote", "origin")
    (pushed,) = events(await handle(repo, said(found())), UpdatePushed)
    assert (pushed.branch, pushed.pull_request[-7:]) == (UPDATES, "/pull/1")
    assert await world.log() == ["Job", "First"]
    (one,) = host.open()
    assert words(one) == (
        f"Auto-release {HOST}/web:1.1.0",
        f"```\nAuto-release {HOST}/web:1.1.0\n```\n",
    )

    await handle(repo, said(policies(JOB, locked="true", cause=Cause(message="``` @all"))))
    (one,) = host.open()
    title, body = words(one)
    assert title == "2 updates by Flux"
    assert body.startswith("````\n``` @all\n")
    assert await waiting(world) == ["``` @all", f"Auto-release {HOST}/web:1.1.0"]

    heard = len(host.heard)
    await handle(repo, said(found()))
    assert len(host.heard) == heard

    await world.copy.git("merge", "--quiet", "--squash", UPDATES)
    await world.copy.commit("Squashed")
    await world.copy.push()
    await handle(repo, said(found()))
    assert host.open() == []
    assert len(host.requests) == 1


async def test_a_newer_update_replaces_what_waits_and_a_moved_branch_is_followed(
    world: World, host: PullHost
) -> None:
    repo = await writer(world, host)
    await handle(repo, said(found()))
    await world.copy.pull()
    await world.copy.commit_and_push("Theirs", {"note": "b"})
    await handle(await writer(world, host, "another"), said(found("1.2.0", "1.1.0")))

    subjects = [f"Auto-release {HOST}/web:1.2.0", f"Auto-release {HOST}/web:1.1.0"]
    assert await waiting(world) == subjects
    assert "web:1.2.0" in await world.copy.show(f"{UPDATES}:web.yaml")
    assert await world.copy.show(f"{UPDATES}:note") == "b"
    (one,) = host.open()
    assert words(one)[0] == "2 updates by Flux"

    await world.copy.pull()
    await world.copy.commit_and_push("Conflict", {"web.yaml": AUTOMATED.replace("1.0.0", "1.5.0")})
    (told,) = events(await handle(repo, said(found("1.2.0"))), UpdateRejected)
    assert told.reason == "superseded"
    assert host.open() == []


@pytest.mark.parametrize("is_seen", [True, False], ids=["seen", "unseen"])
async def test_a_revert_of_what_was_merged_in_the_words_of_others_is_held_until_a_person_says_so(
    world: World, host: PullHost, *, is_seen: bool
) -> None:
    repo = await writer(world, host)
    await handle(repo, said(found()))
    await waiting(world)
    await world.copy.git("merge", "--quiet", "--squash", UPDATES)
    await world.copy.commit("All of it (#1)")
    await world.copy.push()
    if is_seen:
        await handle(repo, said(found()))
        assert await waiting(world) == []
    await world.copy.git("revert", "--no-edit", "HEAD")
    await world.copy.push()
    (told,) = events(
        await handle(await writer(world, host, "another"), said(found())), UpdateRejected
    )
    assert told.reason.startswith("held: 1.1.0 written in ")
    assert await waiting(world) == [f"Hold {WEB}"]

    await world.copy.git("merge", "--quiet", "--squash", UPDATES)
    await world.copy.commit("Hold it (#2)")
    assert "fluxcd.io/held" in world.copy.read("web.yaml")
    await world.copy.commit_and_push("Let it", {"web.yaml": AUTOMATED})
    (pushed,) = events(await handle(repo, said(found())), UpdatePushed)
    assert set(pushed.result) == {WEB}
    assert await waiting(world) == [f"Auto-release {HOST}/web:1.1.0"]


async def test_a_request_from_a_fork_whose_branch_is_called_as_ours_is_left_alone(
    world: World, host: PullHost
) -> None:
    await handle(await writer(world, host), said(found()))
    host.forked()
    theirs = dict(host.requests[1_001])
    await handle(await writer(world, host, "another"), said(found("1.2.0", "1.1.0")))

    assert host.requests[1_001] == theirs
    (one,) = host.open()
    assert words(one)[0] == "2 updates by Flux"


async def test_a_reviewers_commit_is_never_rewritten(world: World, host: PullHost) -> None:
    repo = await writer(world, host)
    await handle(repo, said(found()))
    await waiting(world)
    await world.copy.git("checkout", "--quiet", UPDATES)
    theirs = await world.copy.commit_and_push("Review", {"review": "x"})
    await world.copy.git("checkout", "--quiet", "main")
    await world.copy.commit_and_push("Theirs", {"note": "b"})
    await handle(repo, said(found("1.2.0", "1.1.0")))

    assert (await waiting(world))[:2] == [f"Auto-release {HOST}/web:1.2.0", "Review"]
    assert theirs == (await world.copy.git("rev-parse", f"{UPDATES}^")).strip()


async def test_a_host_that_refuses_is_waited_for_and_nothing_is_written_twice(
    world: World, host: PullHost
) -> None:
    group = said(found(), policies(WEB, note="x"))
    repo = await writer(world, host)
    host.down = 403
    with pytest.raises(TemporaryError, match=r"pull requests of 127\.0\.0\.1: GET: 403") as caught:
        await handle(repo, group)
    assert TOKEN not in str(caught.value)

    host.down = 0
    outcome = await handle(repo, group)
    assert len(events(outcome, OrderCompleted)) == 1
    assert len(host.open()) == 1
    assert len(await waiting(world)) == 1
