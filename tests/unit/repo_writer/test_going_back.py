"""What a person went back from is not written again: until a newer tag is, or they say so."""

import pytest

from services.repo_writer.domain.trailers import read
from shared.contract import (
    Cause,
    ImagesFound,
    OrderCompleted,
    RollbackSpec,
    UpdatePushed,
    UpdateRejected,
    UpdateRequested,
)
from shared.manifests import Policies, load
from shared.manifests.holds import Hold, holds, spelt
from tests.unit.repo_writer.fakes import FakeRegistry, FakeRepo
from tests.unit.repo_writer.given import (
    AUTOMATED,
    HOST,
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


def rollback(*workloads: str, user: str = "Ann <a@b>") -> UpdateRequested:
    spec = RollbackSpec(workloads=workloads or (WEB,))
    return UpdateRequested(repository=REPOSITORY, spec=spec, cause=Cause(user=user))


def policies_of(repo: FakeRepo, path: str = "web.yaml") -> Policies:
    (one,) = load(repo.file(path), file=path).objects
    return Policies.of(one.object)


def seen(repo: FakeRepo, chosen: str, current: str) -> ImagesFound:
    """What a scanner finds that has read what git declares now."""
    return found(chosen, current).model_copy(update={"policy_digest": policies_of(repo).digest()})


async def updated() -> FakeRepo:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    await handle(repo, said(found()))
    return repo


async def reverted() -> FakeRepo:
    repo = await updated()
    await repo.edit({"web.yaml": AUTOMATED}, "Revert")
    return repo


async def test_a_revert_holds_the_tag_and_says_so_in_git_and_in_the_event() -> None:
    repo = await reverted()
    outcome = await handle(repo, said(found()))

    (subject, *_) = await repo.subjects()
    assert subject == f"Hold {WEB}"
    assert f"image: {HOST}/web:1.0.0 # kept" in repo.file("web.yaml")
    held = holds(policies_of(repo))["main"]
    assert held.tag == "1.1.0"
    assert held.reason.endswith("and reverted")
    (rejected,) = events(outcome, UpdateRejected)
    assert rejected.reason == f"held: 1.1.0 {held.reason}"
    (pushed,) = events(outcome, UpdatePushed)
    assert (pushed.kind, list(pushed.result)) == ("policy", [WEB])


async def test_what_is_held_stays_so_and_is_not_written_down_twice() -> None:
    repo = await reverted()
    await handle(repo, said(found()))
    head = repo.branch
    (rejected,) = events(await handle(repo, said(seen(repo, "1.1.0", "1.0.0"))), UpdateRejected)
    assert rejected.reason.startswith("held: 1.1.0")
    assert repo.branch == head


@pytest.mark.parametrize("by", ["revert", "rollback"])
async def test_a_newer_tag_is_written_and_ends_the_hold(by: str) -> None:
    repo = await reverted() if by == "revert" else await updated()
    await handle(repo, said(found() if by == "revert" else rollback()))
    await handle(repo, said(seen(repo, "1.2.0", "1.0.0")))

    assert repo.file("web.yaml") == AUTOMATED.replace("web:1.0.0", "web:1.2.0")


@pytest.mark.parametrize("how", ["policy", "by hand", "release"])
async def test_a_person_ends_a_hold(how: str) -> None:
    repo = await reverted()
    await handle(repo, said(found()))
    if how == "release":
        await handle(repo, said(release(f"{HOST}/web:1.1.0", WEB)))
    elif how == "policy":
        await handle(repo, said(policies(WEB, "held")))
    else:
        await repo.edit({"web.yaml": AUTOMATED}, "Let it go")
    if how != "release":
        await handle(repo, said(found()))
    assert repo.file("web.yaml") == AUTOMATED.replace("web:1.0.0", "web:1.1.0")


async def test_a_rollback_goes_back_and_holds_and_is_told_again() -> None:
    repo = await updated()
    group = said(rollback())
    first = await handle(repo, group)

    (done,) = events(first, OrderCompleted)
    (change,) = done.result[WEB].changes
    assert (change.current, change.target) == (f"{HOST}/web:1.1.0", f"{HOST}/web:1.0.0")
    assert f"image: {HOST}/web:1.0.0 # kept" in repo.file("web.yaml")
    hold = holds(policies_of(repo))["main"]
    assert (hold.tag, hold.reason) == ("1.1.0", "rolled back by Ann <a@b>")
    (pushed,) = events(first, UpdatePushed)
    assert pushed.message.startswith(f"Roll back {WEB}\n\n{WEB}: main: {HOST}/web:1.1.0 -> ")
    told = read(pushed.message)
    assert told
    assert told.held == {WEB: (("main", "1.1.0"),)}

    again = await handle(repo, group)
    assert events(again, OrderCompleted) == events(first, OrderCompleted)
    (rejected,) = events(await handle(repo, said(seen(repo, "1.1.0", "1.0.0"))), UpdateRejected)
    assert rejected.reason == "held: 1.1.0 rolled back by Ann <a@b>"


async def test_a_second_rollback_goes_further_back_and_never_forward() -> None:
    repo = await updated()
    await handle(repo, said(found("1.2.0", "1.1.0")))
    await handle(repo, said(rollback()))
    assert "web:1.1.0 #" in repo.file("web.yaml")
    await handle(repo, said(rollback()))
    assert "web:1.0.0 #" in repo.file("web.yaml")
    group = said(rollback())
    assert "no changes made" in str((await handle(repo, group)).failed[group[0].id])


async def test_what_flux_did_not_write_is_not_rolled_back() -> None:
    repo = FakeRepo({"web.yaml": deployment("web", "1.0.0", locked="true"), "a": ""})
    for workload in (WEB, "default:deployment/no"):
        group = said(rollback(workload))
        assert (await handle(repo, group)).failed
    assert repo.pushes == 0


async def test_an_update_of_another_file_with_a_workload_of_the_same_id_is_no_revert() -> None:
    repo = await updated()
    await repo.edit({"web.yaml": "", "other.yaml": AUTOMATED}, "Move")
    await handle(repo, said(found()))
    assert repo.file("other.yaml") == AUTOMATED.replace("web:1.0.0", "web:1.1.0")


async def test_a_release_of_the_latest_by_a_person_ends_a_hold() -> None:
    repo = await updated()
    await handle(repo, said(rollback()))
    await handle(repo, said(release()), FakeRegistry(web=("1.1.0", "1.0.0")))
    assert repo.file("web.yaml") == AUTOMATED.replace("web:1.0.0", "web:1.1.0")


@pytest.mark.parametrize(
    "found_",
    [
        {},
        {"main": Hold(tag="1.1.0")},
        {"a b;c: (d)": Hold(tag="v1", reason="why not"), "x": Hold(tag="2", reason="so")},
    ],
)
def test_what_is_spelt_is_read(found_: dict[str, Hold]) -> None:
    assert holds(Policies(values={"held": spelt(found_)})) == found_


@pytest.mark.parametrize("reason", ["a; b: 2", "a)\n(b", "\x00\x1b[31m\u2028", "x" * 999])
def test_a_reason_stays_a_reason(reason: str) -> None:
    text = spelt({"main": Hold(tag="1", reason=reason)})
    assert text.isprintable()
    assert len(text) < 250
    (one,) = holds(Policies(values={"held": text})).values()
    assert one.tag == "1"


def test_a_persons_own_words_hold_as_well() -> None:
    read_ = holds(Policies(values={"held": "main:1.2.0 ; nonsense; side: 3 (bad, very)"}))
    assert read_ == {"main": Hold(tag="1.2.0"), "side": Hold(tag="3", reason="bad, very")}
