"""What a git host refuses is told in its words, and spoils only itself."""

import pytest

from services.repo_writer.refusals import Refusals
from shared.contract import Cause, OrderCompleted, UpdatePushed, UpdateRejected
from tests.integration.writer_world import BY_BOTH_DOORS, World, handle
from tests.unit.repo_writer.given import (
    AUTOMATED,
    WEB,
    events,
    found,
    policies,
    said,
)

pytestmark = BY_BOTH_DOORS


async def test_a_hook_that_refuses_one_message_lets_the_others_pass(world: World) -> None:
    world.hook(
        "pre-receive",
        "read old new ref\n"
        "git log --format=%s $old..$new | grep -q forbidden && echo 'no ticket' && exit 1\nexit 0",
    )
    bad = policies(WEB, note="x", cause=Cause(message="forbidden"))
    group = said(bad, policies(WEB, locked_msg="y"))
    outcome = await handle(await world.writer(), group)

    assert "no ticket" in str(outcome.failed[group[0].id])
    assert [one.order for one in events(outcome, OrderCompleted)] == [group[1].id]
    assert await world.log() == [f"Updated policies: {WEB}", "First"]


PROTECTED = r"""
printf 'error: GH006: Protected branch.\n\033[31mSay %s\033[0m to nobody.\n' "$(cat secret)" >&2
exit 1"""


async def test_a_protected_branch_is_told_in_the_words_of_its_host_without_secrets(
    world: World,
) -> None:
    (world.repository.path / "secret").write_text(world.git.password)
    world.hook("update", PROTECTED)
    login = await world.writer(
        "other", over="http"
    )  # has read the password, which is known as a secret then
    await login.fetch()
    group = said(policies(WEB, locked_msg="x"))
    outcome = await handle(await world.writer(), group)

    reason = str(outcome.failed[group[0].id])
    assert "refuses the push to main: hook declined: error: GH006: Protected branch.: " in reason
    assert "Say *** to nobody." in reason
    assert world.git.password not in reason
    assert reason.isprintable()
    (rejected,) = events(await handle(await world.writer(), said(found())), UpdateRejected)
    assert "GH006: Protected branch." in rejected.reason
    assert await world.log() == ["First"]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("[receive]\n\tmaxInputSize = 10\n", "pack exceeds maximum allowed size"),
        ("[receive]\n\thideRefs = refs/heads/main\n", "is it hidden from who pushes?"),
        ("[http]\n\treceivepack = false\n", "we may not write (403)"),
    ],
)
async def test_what_a_host_never_takes_is_not_tried_for_ever(
    world: World, setting: str, words: str
) -> None:
    if world.door == "ssh" and "http" in setting:  # there it breaks off, with words of its own
        door = next(world.git.root.parent.rglob("only-git"))
        asked = f'"git-receive-pack "*"{world.repository.name}"*'
        archived = f'{asked}) echo "ERROR: it is archived" >&2; exit 1 ;;'
        door.write_text(door.read_text().replace(" in\n", f" in\n  {archived}\n", 1))
        words = "ERROR: it is archived"
    world.settings(setting)
    group = said(policies(WEB, locked_msg="x"))
    outcome = await handle(await world.writer(), group)

    assert words in str(outcome.failed[group[0].id])
    assert await world.log() == ["First"]


async def test_what_the_host_refused_is_not_pushed_again_at_every_scan(world: World) -> None:
    world.hook("pre-receive", "echo >> pushes; exit 1")
    pushes = world.repository.path / "pushes"
    repo, refusals = await world.writer(), Refusals()
    first = await handle(repo, said(found()), refusals)
    before = pushes.read_text()
    again = await handle(repo, said(found()), refusals)
    assert events(again, UpdateRejected) == events(first, UpdateRejected)
    assert before
    assert pushes.read_text() == before

    world.hook("pre-receive", "exit 0")
    assert events(await handle(repo, said(found("1.2.0")), refusals), UpdatePushed)
    await world.copy.pull()
    await world.copy.commit_and_push("Back", {"web.yaml": AUTOMATED})
    assert events(await handle(repo, said(found()), refusals), UpdatePushed)
