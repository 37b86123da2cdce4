"""Releases by hand, with Flux v1's rules, statuses and reasons."""

from collections.abc import Mapping

import pytest

from shared.contract import (
    Cause,
    OrderCompleted,
    PlanMade,
    PlanQuestion,
    UpdatePushed,
    UpdateRequested,
    WorkloadResult,
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
    handle,
    release,
    said,
    ticked,
)

DIGEST = "sha256:" + "0" * 64


async def plan(
    files: Mapping[str, str], order: UpdateRequested, registry: FakeRegistry | None = None
) -> Mapping[str, WorkloadResult]:
    question = said(PlanQuestion(repository=REPOSITORY, spec=order.spec))
    (made,) = events(await handle(FakeRepo(files), question, registry), PlanMade)
    assert not made.error
    return made.result


def updates(result: WorkloadResult) -> dict[str, str]:
    return {change.container: change.target for change in result.changes}


@pytest.mark.parametrize(
    ("named", "force", "image", "outcome"),
    [
        (True, False, "2.0.0", "locked"),
        (True, True, "2.0.0", f"{HOST}/pinned:2.0.0"),
        (True, True, None, f"{HOST}/pinned:1.5.0"),
        (False, True, "2.0.0", "locked"),
        (False, True, None, "locked"),
    ],
)
async def test_force_lifts_the_lock_of_named_workloads_and_the_filter_for_a_named_image(
    *, named: bool, force: bool, image: str | None, outcome: str
) -> None:
    files = {"a.yaml": deployment("pinned", "1.0.0", locked="true", **{"tag.main": "semver:~1"})}
    wanted = f"{HOST}/pinned:{image}" if image else "<all latest>"
    order = release(wanted, *([PINNED] if named else []), force=force)
    result = await plan(files, order, FakeRegistry(pinned=("2.0.0", "1.5.0", "1.0.0")))
    assert updates(result[PINNED]).get("main", result[PINNED].error) == outcome


async def test_a_named_image_that_the_filter_leaves_out_is_not_found_without_force() -> None:
    registry = FakeRegistry(web=("2.0.0", "latest"))
    for tag in ("2.0.0", "latest"):
        result = await plan({"a": AUTOMATED}, release(f"{HOST}/web:{tag}", WEB), registry)
        assert result[WEB].error == "cannot find one or more images"
    forced = release(f"{HOST}/web:latest", WEB, force=True)
    assert (await plan({"a": AUTOMATED}, forced, registry))[WEB].error == (
        "cannot find one or more images"
    )


@pytest.mark.parametrize("odd", ["${REGISTRY}/web:$TAG", "Upper/Case:1", "a b", "web@sha256:1"])
async def test_an_image_that_is_no_reference_spoils_only_itself(odd: str) -> None:
    broken = deployment("pinned", "1.0.0").replace(f"{HOST}/pinned:1.0.0", f'"{odd}"')
    files = {"a.yaml": broken, "b.yaml": AUTOMATED}
    everything = await plan(files, release())
    assert updates(everything[WEB]) == {"main": f"{HOST}/web:1.1.0"}
    assert everything[PINNED].error == "cannot find one or more images"
    one = await plan(files, release(f"{HOST}/web:1.1.0"))
    assert updates(one[WEB]) == {"main": f"{HOST}/web:1.1.0"}
    assert one[PINNED].error == "a different image"


SIDECAR = f"        - name: side\n          image: {HOST}/side:1.0.0\n"


async def test_the_reason_is_that_of_the_container_which_uses_the_image() -> None:
    files = {"a": AUTOMATED + SIDECAR}
    result = await plan(files, release(f"{HOST}/web:1.0.0", WEB), FakeRegistry(web=("1.0.0",)))
    assert (result[WEB].status, result[WEB].error) == ("skipped", "image(s) up to date")


async def test_an_image_whose_registry_does_not_answer_is_not_up_to_date() -> None:
    result = await plan({"a": AUTOMATED + SIDECAR}, release(), FakeRegistry(web=("1.0.0",)))
    assert result[WEB].error == "cannot find one or more images"


@pytest.mark.parametrize(
    ("declared", "created", "target"),
    [
        ("main-2", {"main-1": 1, "main-2": 2, "main-3": 3}, "main-3"),
        ("main-2", {"main-1": 1, "main-2": 2}, "image(s) up to date"),
        # What is not known to be newer is not taken for newer.
        ("main-2", {"main-1": 1, "main-3": 3}, "cannot find one or more images"),
        ("main-2", {}, "does not use image(s)"),
        # The registry has it no more: then the newest is what a person asks for.
        ("gone", {"main-1": 1, "main-3": 3}, "main-3"),
        ("main-gone", {"main-1": 1, "main-3": 3}, "main-3"),
    ],
)
async def test_the_latest_by_creation_time_is_never_an_older_one(
    declared: str, created: Mapping[str, int], target: str
) -> None:
    files = {"a": deployment("web", declared, **{"tag.main": "glob:main-*"})}
    registry = FakeRegistry(created, web=("main-3", "main-1", "main-2"))
    (result,) = (await plan(files, release(), registry)).values()
    if declared == "gone" or target.startswith("main"):
        assert updates(result) == {"main": f"{HOST}/web:{target}"}
    else:
        assert result.error == target


async def test_the_latest_version_is_never_below_the_declared_one() -> None:
    result = await plan({"a": AUTOMATED}, release(), FakeRegistry(web=("0.9.0", "0.8.0")))
    assert result[WEB].error == "does not use image(s)"
    anything = AUTOMATED.replace("~1", "*")
    result = await plan({"a": anything}, release(), FakeRegistry(web=("0.9.0", "0.8.0")))
    assert result[WEB].error == "image(s) up to date"


async def test_a_digest_stays_unless_a_person_names_another_tag() -> None:
    files = {"a": AUTOMATED.replace("web:1.0.0", f"web:1.0.0@{DIGEST}")}
    for image in ("<all latest>", f"{HOST}/web:1.0.0"):
        assert (await plan(files, release(image, WEB)))[WEB].error == "image(s) up to date"
    named = await plan(files, release(f"{HOST}/web:1.1.0", WEB))
    assert updates(named[WEB]) == {"main": f"{HOST}/web:1.1.0"}


async def test_an_untagged_image_gets_a_tag_by_hand() -> None:
    files = {"a": deployment("web", "1").replace("web:1 ", "web ")}
    result = await plan(files, release(), FakeRegistry({"a": 1, "b": 2}, web=("a", "b")))
    assert updates(result[WEB]) == {"main": f"{HOST}/web:b"}


async def test_an_invalid_filter_is_told() -> None:
    files = {"a": AUTOMATED.replace("semver:~1", "semver:~one")}
    result = await plan(files, release())
    assert result[WEB].status == "skipped"
    assert result[WEB].error.startswith("a:1: semver:~one matches no tag")


async def test_an_invalid_filter_of_one_container_is_told_beside_what_was_released() -> None:
    side = SIDECAR.replace("side:1.0.0", "web:1.0.0")
    files = {"a": (AUTOMATED + side).replace("tag.main", "tag.side").replace("~1", "~one")}
    (result,) = (await plan(files, release(f"{HOST}/web:1.1.0"))).values()
    assert updates(result) == {"main": f"{HOST}/web:1.1.0"}
    assert result.status == "success"
    assert result.error.startswith("a:1: semver:~one matches no tag")


async def test_names_in_the_old_form_and_bad_names_are_understood() -> None:
    result = await plan({"a": AUTOMATED, "b": LOCKED}, release("<all latest>", "default/web"))
    assert updates(result[WEB]) == {"main": f"{HOST}/web:1.1.0"}
    group = said(release("<all latest>", "no:id"), release("not an image", WEB))
    outcome = await handle(FakeRepo({"a": AUTOMATED}), group)
    assert [str(one)[:24] for one in outcome.failed.values()] == [
        "'no:id' is no workload i",
        "'not an image' is no ima",
    ]


@pytest.mark.parametrize(
    ("changes", "options", "error"),
    [
        ({WEB: [("main", f"{HOST}/web:0.9", "x:2")]}, {}, "tag mismatch: main"),
        ({WEB: [("nope", "", "x:2")]}, {}, "container(s) not found: nope"),
        # Nobody meant to skip what was misspelt.
        ({WEB: [("nope", "", "x:2")]}, {"skip": True}, "container(s) not found: nope"),
        ({WEB: [("main", f"{HOST}/web:0.9", "x:2")]}, {"skip": True}, "no changes found"),
        ({WEB: [("main", "", f"{HOST}/web:1.0.0")]}, {}, "no changes found"),
        ({PINNED: [("main", "", "x:2")]}, {}, "no changes found"),
        ({"default:deployment/no": [("main", "", "x:2")]}, {}, "no changes found"),
        ({WEB: [("main", "", "Not An Image")]}, {}, "'Not An Image' is no image reference"),
    ],
)
async def test_ticked_containers_that_cannot_be_had_are_told(
    changes: dict, options: dict, error: str
) -> None:
    repo = FakeRepo({"a": AUTOMATED, "b": LOCKED})
    group = said(ticked(changes, **options))
    outcome = await handle(repo, group)
    assert error in str(outcome.failed[group[0].id])
    assert repo.pushes == 0


async def test_ticked_containers_are_released_and_the_others_told() -> None:
    files = {"a": AUTOMATED + SIDECAR, "b": LOCKED, "c": deployment("paused", "1", ignore="true")}
    spec = {
        WEB: [("main", f"{HOST}/web:0.9", "x:2"), ("side", f"{HOST}/side:1.0.0", f"{HOST}/side:2")],
        PINNED: [("main", "", f"{HOST}/pinned:9")],
        "default:deployment/paused": [("main", "", f"{HOST}/paused:2")],
    }
    repo = FakeRepo(files)
    (done,) = events(await handle(repo, said(ticked(spec, skip=True))), OrderCompleted)
    assert repo.file("a") == files["a"].replace("side:1.0.0", "side:2")
    assert done.result[WEB].error == "container(s) tag mismatch: main"
    assert updates(done.result[WEB]) == {"side": f"{HOST}/side:2"}
    assert done.result[PINNED].error == "locked"
    assert done.result["default:deployment/paused"].error == "ignore"
    forced = ticked({PINNED: [("main", "", f"{HOST}/pinned:9")]}, force=True)
    (done,) = events(await handle(repo, said(forced)), OrderCompleted)
    assert "pinned:9" in repo.file("b")
    assert done.result[WEB].error == "not included"


async def test_a_commit_that_overrides_a_lock_says_so() -> None:
    files = {"a": AUTOMATED, "b": LOCKED}
    registry = FakeRegistry({"2.0.0": 2, "1.0.0": 1}, web=("1.1.0",), pinned=("2.0.0", "1.0.0"))
    named = release("<all latest>", PINNED, WEB, force=True)
    ticks = ticked({PINNED: [("main", "", f"{HOST}/pinned:9")]}, force=True)
    for order, cause in ((named, Cause()), (named, Cause(message="My words\n")), (ticks, Cause())):
        repo = FakeRepo(files)
        group = said(order.model_copy(update={"cause": cause}))
        (pushed,) = events(await handle(repo, group, registry), UpdatePushed)
        assert f"\n\nOverrides the lock of {PINNED}\n\nFlux-Kind: " in pushed.message
    (pushed,) = events(await handle(FakeRepo(files), said(release())), UpdatePushed)
    assert "Overrides" not in pushed.message


async def test_force_lifts_ignore_for_workloads_that_are_named() -> None:
    files = {"a": deployment("pinned", "1.0.0", ignore="true")}
    for order, error in (
        (release("<all latest>", PINNED, force=True), ""),
        (release("<all latest>", PINNED), "ignore"),
        (release(force=True), "ignore"),
    ):
        result = await plan(files, order, FakeRegistry({"2": 2, "1.0.0": 1}, pinned=("2", "1.0.0")))
        assert result[PINNED].error == error
