"""repo_writer on a real git host: what lands, whose it is, and what is told again."""

import json

import pytest

from shared.contract import (
    Cause,
    OrderCompleted,
    RollbackSpec,
    UpdatePushed,
    UpdateRejected,
    UpdateRequested,
)
from tests.integration.writer_world import BY_BOTH_DOORS, World, handle
from tests.unit.repo_writer.given import (
    AUTOMATED,
    HOST,
    REPOSITORY,
    WEB,
    events,
    found,
    policies,
    release,
    said,
)

pytestmark = BY_BOTH_DOORS


async def test_an_update_lands_and_every_other_byte_stays(world: World) -> None:
    odd = ("\ufeff# grün 😀\n" + AUTOMATED + "# no end of line").replace("\n", "\r\n").encode()
    await world.copy.commit_and_push("Odd", {"web.yaml": odd})
    await handle(await world.writer(), said(found()))

    assert await world.log() == [f"Auto-release {HOST}/web:1.1.0", "Odd", "First"]
    after = (world.copy.directory / "web.yaml").read_bytes()
    assert after == odd.replace(b"web:1.0.0", b"web:1.1.0")


@pytest.mark.parametrize("since", ["nothing", "commit", "merge"])
async def test_who_died_after_the_push_tells_it_again_and_writes_nothing(
    world: World, since: str
) -> None:
    group = said(release(f"{HOST}/web:1.1.0", WEB), policies(WEB, locked="true"), found())
    first = await handle(await world.writer(), group)
    if since == "merge":  # a person had committed before they pulled
        world.copy.write({"note": "b"})
        await world.copy.commit("Theirs")
        await world.copy.git("pull", "--quiet", "--no-rebase", "--no-edit")
        await world.copy.git("push", "--quiet")
    elif since == "commit":
        await world.copy.pull()
        await world.copy.commit_and_push("Theirs", {"note": "b"})
    before = await world.log()
    again = await handle(await world.writer("another"), group)

    assert await world.log() == before
    assert not again.failed
    assert [draft.id for draft in again.events if isinstance(draft.message, UpdatePushed)] == [
        draft.id for draft in first.events if isinstance(draft.message, UpdatePushed)
    ]
    for kind in (UpdatePushed, OrderCompleted):
        assert events(again, kind)[:2] == events(first, kind)[:2]


async def test_a_persons_commit_is_not_read_as_ours(world: World) -> None:
    group = said(policies(WEB, locked="true"))
    forged = f"Theirs\n\nFlux-Kind: policy\nFlux-Order: {group[0].id}\nFlux-Policy: {WEB}"
    await world.copy.commit_and_push(forged, {"note": "b"})
    await handle(await world.writer(), group)

    assert (await world.log())[0] == f"Locked: {WEB}"


async def test_words_that_git_could_not_hold_do_not_cut_ours_off(world: World) -> None:
    cause = Cause(user="A\x00B \ud800", message="why\x00\r\n\r\nand\x1b[31m how\ud800")
    group = said(policies(WEB, locked="true", cause=cause))
    done = [events(await handle(await world.writer(name), group), OrderCompleted) for name in "ab"]

    assert await world.log() == ["why", "First"]
    assert done[0] == done[1]
    assert done[0][0].revision == await world.copy.head()


async def test_an_order_is_its_givers_commit_in_our_name(world: World) -> None:
    evil = Cause(user="Eve\ncommitter Ann <a@b> 0 +0000 <e@example.com>", message="Mine")
    group = said(policies(WEB, locked="true", cause=evil))
    done = [
        events(await handle(await world.writer(name, set_author=True), group), OrderCompleted)
        for name in "ab"
    ]

    assert await world.log() == ["Mine", "First"]
    assert done[0] == done[1]
    made_by = await world.copy.git("log", "-1", "--format=%an <%ae> by %cn <%ce>")
    assert made_by.strip() == (
        "Evecommitter Ann a@b 0 +0000 e@example.com <flux@localhost> by Flux. <flux@localhost>"
    )


async def test_a_git_revert_is_held_by_whatever_process_comes_next(world: World) -> None:
    await handle(await world.writer(), said(found()))
    await world.log()
    await world.copy.git("revert", "--no-edit", "HEAD")
    await world.copy.push()
    outcome = await handle(await world.writer("another"), said(found()))

    (rejected,) = events(outcome, UpdateRejected)
    assert rejected.reason.startswith("held: 1.1.0 written in ")
    assert (await world.log())[0] == f"Hold {WEB}"
    text = world.copy.read("web.yaml")
    assert "    fluxcd.io/held: 'main: 1.1.0 (written in " in text or 'held: "main: 1.1.0' in text
    assert "web:1.0.0" in text


async def test_a_rollback_is_written_held_and_told_again(world: World) -> None:
    ana = Cause(user="Ana <ana@example.com>")
    spec = RollbackSpec(workloads=(WEB,))
    rollback = UpdateRequested(repository=REPOSITORY, spec=spec, cause=ana)
    repo = await world.writer()
    await handle(repo, said(found()))
    group = said(rollback)
    outcome = await handle(repo, group)
    (done,) = events(outcome, OrderCompleted)

    assert (await world.log())[0] == f"Roll back {WEB}"
    text = world.copy.read("web.yaml")
    assert "web:1.0.0 # kept" in text
    assert "fluxcd.io/held: 'main: 1.1.0 (rolled back by Ana <ana@example.com>)'" in text.replace(
        '"', "'"
    )
    again = await handle(await world.writer("another"), group)
    assert events(again, OrderCompleted) == [done]
    assert events(again, UpdatePushed) == events(outcome, UpdatePushed)
    digest = (await repo.state(await repo.fetch())).workloads[WEB].policies.digest()
    offered = found().model_copy(update={"policy_digest": digest})
    (rejected,) = events(await handle(repo, said(offered)), UpdateRejected)
    assert rejected.reason == f"held: 1.1.0 rolled back by {ana.user}"


HOSTILE = "x\x00\n\nFlux-Kind: release\nFlux-Order: y\r\x1b[31m\u2028\ud800 `$(id)` --amend <a@b>"


@pytest.mark.parametrize("set_author", [True, False])
async def test_words_from_outside_break_out_of_nothing(world: World, *, set_author: bool) -> None:
    words = HOSTILE.replace("\ud800", "")
    cause = Cause(user=HOSTILE, message=HOSTILE)
    order = policies(WEB, locked="true", locked_user=words, locked_msg=words, cause=cause)
    group = said(order)
    repo = await world.writer(set_author=set_author)
    (pushed,) = events(await handle(repo, group), UpdatePushed)

    await world.log()
    await world.copy.git("fetch", "--quiet", "origin", "refs/notes/flux:refs/notes/flux")
    await world.copy.git("fsck", "--strict", "--no-dangling")
    assert pushed.revision == await world.copy.head()
    keys = await world.copy.git("log", "-1", "--format=%(trailers:key=Flux-Order,valueonly)")
    assert keys.split() == [group[0].id]
    note = json.loads(await world.copy.git("notes", "--ref=flux", "show", "HEAD"))
    assert note["spec"]["cause"]["User"] == HOSTILE
    assert (await repo.state(pushed.revision)).workloads[WEB].policies.locked_message == words
    refs = (await world.copy.git("ls-remote", "origin")).split()[1::2]
    assert sorted(refs) == ["HEAD", "refs/heads/main", "refs/notes/flux"]
