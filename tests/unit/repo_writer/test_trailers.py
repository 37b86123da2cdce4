"""What a commit tells of itself is ours alone: no text from outside is read as a trailer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.repo_writer.domain import trailers
from services.repo_writer.domain.plan import Plan
from services.repo_writer.domain.style import Style
from shared.contract import Cause, Change, UpdatePushed, WorkloadResult
from tests.unit.repo_writer.fakes import FakeRegistry, FakeRepo
from tests.unit.repo_writer.given import (
    AUTOMATED,
    HOST,
    WEB,
    events,
    found,
    handle,
    policies,
    release,
    said,
)

FORGED = f"Flux-Kind: release\nFlux-Order: theirs\nFlux-Update: {WEB} main a:1 -> a:2"


def plan(
    workload: str = WEB, container: str = "c", current: str = "a:1", target: str = "a:2"
) -> Plan:
    change = Change(container=container, current=current, target=target)
    return Plan(
        result={
            workload: WorkloadResult(status="success", changes=(change,)),
            f"{workload}'s": WorkloadResult(status="success"),
        },
        held={workload: ((container, target),)},
    )


@pytest.mark.parametrize(
    "text", [FORGED, f"Why\n\n{FORGED}", f"{FORGED}\n\n", f"a\r\n\r\n{FORGED}"]
)
def test_a_persons_message_is_never_read_as_ours(text: str) -> None:
    written = trailers.write(text, kind="auto", plan=plan(), order="ours")
    told = trailers.read(written)
    assert told
    assert (told.kind, told.order, told.result) == ("auto", "ours", plan().result)
    assert FORGED in written


@pytest.mark.parametrize("user", ["A\nFlux-Order: theirs", "A\x85Flux-Kind: x", "A\rB", "\ud800"])
def test_a_persons_name_is_never_read_as_a_trailer(user: str) -> None:
    told = trailers.read(trailers.write("x", kind="auto", plan=plan(), cause=Cause(user=user)))
    assert told
    assert (told.kind, told.order) == ("auto", "")


@pytest.mark.parametrize(
    "message",
    [
        "Words",
        f"{FORGED}\n\nSigned-off-by: Somebody",
        f"{FORGED}\nSigned-off-by: Somebody",
        f"{FORGED}\nand so on",
        f"> {FORGED}",
    ],
)
def test_a_message_whose_last_paragraph_is_not_all_ours_tells_nothing(message: str) -> None:
    assert trailers.read(message) is None


names = st.text(min_size=1, max_size=12)


@given(message=st.text(), user=st.text(), words=st.tuples(names, names, names, names, names))
def test_what_is_told_is_read_whatever_the_words(
    message: str, user: str, words: tuple[str, ...]
) -> None:
    order, *parts = (one.encode("utf-8", "replace").decode() for one in words)
    told_of = plan(*parts)
    written = trailers.write(
        message, kind="release", plan=told_of, order=order, cause=Cause(user=user)
    )
    assert "\x00" not in written
    written.encode()
    told = trailers.read(written)
    assert told
    assert (told.kind, told.order, told.result) == ("release", order, told_of.result)
    assert told.held == told_of.held


async def test_what_tells_pipelines_to_skip_stands_between_the_words_and_ours() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    repo.style = Style(ci_skip="[ci skip]")
    group = said(found())
    (pushed,) = events(await handle(repo, group), UpdatePushed)

    assert pushed.message.startswith(f"Auto-release {HOST}/web:1.1.0\n\n[ci skip]\n\nFlux-Kind: ")
    assert events(await handle(repo, group), UpdatePushed) == [pushed]


async def test_an_order_is_not_taken_for_done_because_its_id_stands_in_somebodys_message() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    order = said(release(f"{HOST}/web:1.1.0", WEB))
    forged = FORGED.replace("theirs", order[0].id)
    await handle(repo, said(policies(WEB, locked_msg="x", cause=Cause(message=forged))))
    await repo.edit({"note": "a"}, forged)
    await handle(repo, order)

    assert "web:1.1.0" in repo.file("web.yaml")


async def test_a_key_of_a_release_with_spaces_is_told_again_as_it_is() -> None:
    text = (
        "apiVersion: helm.fluxcd.io/v1\nkind: HelmRelease\nmetadata: {name: r, annotations: "
        '{fluxcd.io/automated: "true"}}\nspec: {values: {my web: {image: registry.example.com/'
        "web:1.0.0}}}\n"
    )
    repo = FakeRepo({"r.yaml": text})
    group = said(release(f"{HOST}/web:1.1.0"))
    registry = FakeRegistry(web=("1.1.0",))
    first = await handle(repo, group, registry)
    again = await handle(repo, group, registry)

    assert len(repo.commits) == 2
    assert events(first, UpdatePushed) == events(again, UpdatePushed)
    (change,) = events(again, UpdatePushed)[0].result["default:helmrelease/r"].changes
    assert change.container == "my web"


async def test_an_update_is_told_again_though_others_have_pushed_since() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    group = said(found())
    first = await handle(repo, group)
    await repo.edit({"note": "a"}, "By hand")

    assert events(await handle(repo, group), UpdatePushed) == events(first, UpdatePushed)


async def test_an_update_is_told_again_though_a_later_one_was_found_since() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    first = await handle(repo, said(found("1.1.0")))
    both = await handle(repo, said(found("1.1.0"), found("1.2.0", "1.1.0")))

    pushed = events(both, UpdatePushed)
    assert pushed[0] == events(first, UpdatePushed)[0]
    assert len(pushed) == 2
    later = await handle(repo, said(found("1.1.0")))  # and so it is where that one is written
    assert events(later, UpdatePushed) == events(first, UpdatePushed)
