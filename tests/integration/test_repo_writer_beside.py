"""What repo_writer keeps beside the branch: notes of its commits, and the sync tag."""

import json

import pytest
import structlog

from shared.contract import UpdatePushed
from tests.integration.writer_world import BY_BOTH_DOORS, World, completed, handle, tag
from tests.unit.repo_writer.given import (
    HOST,
    WEB,
    events,
    found,
    policies,
    release,
    said,
)


@BY_BOTH_DOORS
async def test_every_commit_has_its_note_in_the_same_push(world: World) -> None:
    world.hook("post-receive", "cut -d' ' -f3 | xargs >> pushes")
    await handle(await world.writer(), said(found(), policies(WEB, note="x")))
    pushes = (world.repository.path / "pushes").read_text()
    await handle(await world.writer("another"), said(release(f"{HOST}/web:1.1.0", WEB)))

    assert pushes == "refs/heads/main refs/notes/flux\n"
    await world.log()
    await world.copy.git("fetch", "--quiet", "origin", "refs/notes/flux:refs/notes/flux")
    notes = [json.loads(one) for one in await noted(world)]
    assert [one["spec"]["type"] for one in notes] == ["image", "policy"]


async def noted(world: World) -> list[str]:
    heads = (await world.copy.git("log", "--format=%H", "-2")).split()
    return [await world.copy.git("notes", "--ref=flux", "show", one) for one in heads]


@BY_BOTH_DOORS
async def test_a_note_that_others_raced_with_is_pushed_again(world: World) -> None:
    world.hook("update", "[ $1 != refs/notes/flux ] || [ -e raced ] || { touch raced; exit 1; }")
    outcome = await handle(await world.writer(), said(found()))

    assert events(outcome, UpdatePushed)
    await world.copy.git("fetch", "--quiet", "origin", "refs/notes/flux:refs/notes/flux")
    await world.log()
    note = await world.copy.git("notes", "--ref=flux", "show", "HEAD")
    assert json.loads(note)["result"][WEB]["Status"] == "success"


@BY_BOTH_DOORS
@pytest.mark.parametrize(
    ("hook", "script"),
    [("update", "[ $1 = refs/heads/main ]"), ("pre-receive", "! grep -q refs/notes/")],
)
async def test_a_host_that_takes_no_notes_gets_the_commit(
    world: World, hook: str, script: str
) -> None:
    world.hook(hook, script)
    with structlog.testing.capture_logs() as logs:
        outcome = await handle(await world.writer(), said(found()))

    assert events(outcome, UpdatePushed)
    assert await world.log() == [f"Auto-release {HOST}/web:1.1.0", "First"]
    (told,) = [one for one in logs if one["event"] == "no notes"]
    assert "hook declined" in told["reason"]


@BY_BOTH_DOORS
async def test_the_sync_tag_goes_forward_only(world: World) -> None:
    repo, first = await world.writer(), await world.copy.head()
    second = await world.copy.commit_and_push("Second", {"note": "b"})
    third = await world.copy.commit_and_push("Third", {"note": "c"})
    seen = []
    for revision in (second, first, "0" * 40, third, second, third):
        await handle(repo, said(completed(revision)))
        seen.append(await tag(world))
    assert seen == [second, second, second, third, third, third]
    kind = world.copy.git("for-each-ref", "--format=%(objecttype) %(contents)", "refs/tags")
    assert (await kind).split("\n")[0] == "tag Sync pointer"

    await world.copy.git("reset", "--quiet", "--hard", first)
    world.copy.write({"note": "z"})
    other = await world.copy.commit("Other")
    await world.copy.push("--force")
    for revision in (third, first):  # the one is history no more, the other is on the new branch
        await handle(await world.writer("another"), said(completed(revision)))
    assert await tag(world) == first
    assert other != first


@BY_BOTH_DOORS
async def test_a_sync_tag_that_others_moved_goes_forward_from_where_it_is(world: World) -> None:
    repo, first = await world.writer(), await world.copy.head()
    second = await world.copy.commit_and_push("Second", {"note": "b"})
    third = await world.copy.commit_and_push("Third", {"note": "c"})
    await world.copy.git("checkout", "--quiet", "--orphan", "other")
    other = await world.copy.commit("Other")
    await world.copy.git("checkout", "--quiet", "main")
    await handle(repo, said(completed(first)))
    for moved, told, seen in (
        (second, first, second),  # ahead of what is told
        (third, second, third),
        (third, third, third),  # by a tag of theirs, without a message
        (other, second, second),  # to where the branch has never been
        (first, second, second),  # back
        ("", third, third),  # away
    ):
        what = f"+{moved}:refs/tags/flux-sync" if moved else ":refs/tags/flux-sync"
        await world.copy.git("push", "--quiet", "origin", what)
        await handle(await world.writer(f"{moved}-{told}"), said(completed(told)))
        assert await tag(world) == seen, (moved, told)


async def test_a_tag_that_is_where_it_should_be_costs_no_request(world: World) -> None:
    repo, head = await world.writer(), await world.copy.head()
    await handle(repo, said(completed(head)))
    world.git.requests.clear()
    await handle(repo, said(completed(head)))
    assert not world.git.requests
