"""Orders of people on a real git host, in Flux v1's results, reasons and words."""

from collections.abc import Mapping
from typing import Any

import pytest

from shared.contract import (
    Cause,
    Change,
    ContainersSpec,
    ImageSpec,
    OrderCompleted,
    PlanMade,
    PlanQuestion,
    PolicyChange,
    PolicySpec,
    UpdateRequested,
    WorkloadResult,
)
from tests.integration.writer_world import BY_BOTH_DOORS, World, handle, notes
from tests.unit.repo_writer.fakes import FakeRegistry
from tests.unit.repo_writer.given import (
    AUTOMATED,
    HOST,
    REPOSITORY,
    WEB,
    deployment,
    events,
    said,
)

pytestmark = BY_BOTH_DOORS

API, PINNED, PAUSED, JOB = (
    f"default:deployment/{name}" for name in ("api", "pinned", "paused", "job")
)
ANA = Cause(user="Ana <ana@example.com>")
FILES = {
    "web.yaml": AUTOMATED,  # of semver:~1
    "apps/api.yaml": deployment("web", "1.0.0").replace("name: web", "name: api"),
    "apps/pinned.yaml": deployment("web", "1.0.0", locked="true").replace(
        "name: web", "name: pinned"
    ),
    "apps/paused.yaml": deployment("web", "1.0.0", ignore="true").replace(
        "name: web", "name: paused"
    ),
    "job.yaml": deployment("job", "1.0.0"),
}
REASONS = {"pinned": "skipped: locked", "paused": "skipped: ignore"}
REGISTRY = FakeRegistry(
    {"1.0.0": 1, "1.1.0": 2, "2.0.0": 3}, web=("2.0.0", "1.1.0", "1.0.0"), job=("1.0.0",)
)


def order(spec: Any, cause: Cause = ANA) -> UpdateRequested:
    return UpdateRequested(repository=REPOSITORY, spec=spec, cause=cause)


def release(image: str, *workloads: str, **more: Any) -> ImageSpec:
    wanted = image if image.startswith("<") else f"{HOST}/{image}"
    return ImageSpec(workloads=workloads or ("<all>",), image=wanted, **more)


def short(result: Mapping[str, WorkloadResult]) -> dict[str, str]:
    """As a person would say it: the new image's name and tag, or status and reason."""
    return {
        name.rpartition("/")[2]: ", ".join(c.target.removeprefix(f"{HOST}/") for c in one.changes)
        or f"{one.status}: {one.error}"
        for name, one in result.items()
    }


NOT_INCLUDED, OTHER, CURRENT = (
    "ignored: not included",
    "ignored: a different image",
    ("skipped: image(s) up to date"),
)
RELEASES = {
    "one image to all": (
        release("web:2.0.0"),
        {"web": "skipped: cannot find one or more images", "api": "web:2.0.0", "job": OTHER},
        f"Release {HOST}/web:2.0.0 to all",
    ),
    "all images to all": (
        release("<all latest>"),
        {"web": "web:1.1.0", "api": "web:2.0.0", "job": CURRENT},
        "Release all latest to all",
    ),
    "all but some": (
        release("<all latest>", excludes=(API, "default/job")),
        {"web": "web:1.1.0", "api": "ignored: excluded", "job": "ignored: excluded"},
        "Release all latest to all",
    ),
    "one image to some": (
        release("web:1.1.0", WEB, "default:deployment/gone"),
        {"web": "web:1.1.0", "gone": "skipped: not found in repository"}
        | dict.fromkeys(("api", "job", "pinned", "paused"), NOT_INCLUDED),
        f"Release {HOST}/web:1.1.0 to ",
    ),
    "by force to all": (
        release("web:2.0.0", force=True),
        {"web": "web:2.0.0", "api": "web:2.0.0", "job": OTHER},
        f"Release {HOST}/web:2.0.0 to all",
    ),
    "by force to who is named": (
        release("web:2.0.0", PINNED, PAUSED, WEB, force=True),
        dict.fromkeys(("web", "pinned", "paused"), "web:2.0.0")
        | dict.fromkeys(("api", "job"), NOT_INCLUDED),
        f"Release {HOST}/web:2.0.0 to ",
    ),
    "all images by force to who is named": (
        release("<all latest>", PINNED, WEB, force=True),
        {"web": "web:1.1.0", "pinned": "web:2.0.0"}
        | dict.fromkeys(("api", "job", "paused"), NOT_INCLUDED),
        "Release all latest to ",
    ),
}


@pytest.mark.parametrize("how", RELEASES)
async def test_a_release_is_planned_and_then_done_as_flux_v1_does_it(
    world: World, how: str
) -> None:
    spec, told, subject = RELEASES[how]
    await world.copy.commit_and_push("Files", FILES)
    repo = await world.writer(set_author=True)
    question = said(PlanQuestion(repository=REPOSITORY, spec=spec))
    (planned,) = events(await handle(repo, question, registry=REGISTRY), PlanMade)
    assert await world.log() == ["Files", "First"]
    outcome = await handle(repo, said(order(spec)), registry=REGISTRY)
    (done,) = events(outcome, OrderCompleted)

    assert short(done.result) == short(planned.result) == REASONS | told
    assert (await world.log())[0].startswith(subject)
    assert done.revision == await world.copy.head()
    changed = (await world.copy.git("diff", "--name-only", "HEAD^")).split()
    assert {one.rpartition("/")[2] for one in changed} == {
        f"{name}.yaml" for name, said_ in short(done.result).items() if said_.startswith("web:")
    }
    message = await world.copy.git("log", "-1", "--format=%an%n%B")
    assert message.startswith("Ana\n")
    assert (f"Overrides the lock of {PINNED}" in message) == (
        short(done.result)["pinned"] == "web:2.0.0"
    )
    (note, *_) = await notes(world)
    assert note["spec"]["cause"] == {"Message": "", "User": ANA.user}
    assert note["spec"]["spec"]["ServiceSpecs"] == list(spec.workloads)
    assert (note["spec"]["type"], note["spec"]["spec"]["Force"]) == ("image", spec.force)
    assert {name: one["Status"] for name, one in note["result"].items()} == {
        name: one.status for name, one in done.result.items()
    }


async def test_ticked_containers_are_released_and_a_mismatch_is_told(world: World) -> None:
    await world.copy.commit_and_push("Files", FILES)
    repo = await world.writer()

    def ticks(**more: Any) -> UpdateRequested:
        ticked = {WEB: "1.0.0", API: "0.9.0", PINNED: "1.0.0"}
        changes = {
            name: (
                Change(
                    container="main", current=f"{HOST}/web:{current}", target=f"{HOST}/web:1.1.0"
                ),
            )
            for name, current in ticked.items()
        }
        return order(ContainersSpec(changes=changes, **more))

    group = said(ticks(), ticks(skip_mismatches=True))
    outcome = await handle(repo, group)
    assert "container(s) tag mismatch: main" in str(outcome.failed[group[0].id])
    (done,) = events(outcome, OrderCompleted)
    assert short(done.result) == {
        "web": "web:1.1.0",
        "api": "skipped: container(s) tag mismatch: main",
        "pinned": "skipped: locked",
        **dict.fromkeys(("paused", "job"), NOT_INCLUDED),
    }
    assert await world.log() == [f"Update image refs in {WEB}", "Files", "First"]
    assert f"\n\n{WEB}\n- {HOST}/web:1.1.0\n" in await world.copy.git("log", "-1", "--format=%B")
    (note,) = await notes(world)
    assert (note["spec"]["type"], note["spec"]["spec"]["SkipMismatches"]) == ("containers", True)


LOCK = {"locked": "true", "locked_user": ANA.user, "locked_msg": "a 'freeze'"}
POLICIES = {
    "automate": (API, {"automated": "true"}, (), f"Automated: {API}"),
    "deautomate": (WEB, {}, ("automated",), f"Deautomated: {WEB}"),
    "lock": (API, LOCK, (), "Updated workload policies"),
    "unlock": (PINNED, {}, tuple(LOCK), "Updated workload policies"),
    "unlock alone": (PINNED, {}, ("locked",), f"Unlocked: {PINNED}"),
    "filter": (API, {"tag.main": "regexp:^v"}, (), f"Updated policies: {API}"),
    "filter all": (API, {"tag_all": "semver:^1"}, (), f"Updated policies: {API}"),
    "no filter": (WEB, {"tag_all": "glob:*"}, (), f"Updated policies: {WEB}"),
}


@pytest.mark.parametrize("how", POLICIES)
async def test_policies_are_written_read_and_noted(world: World, how: str) -> None:
    workload, add, remove, subject = POLICIES[how]
    await world.copy.commit_and_push("Files", FILES)
    repo = await world.writer()
    before = (await repo.state(await repo.fetch())).workloads[workload].policies.values
    group = said(order(PolicySpec(changes={workload: PolicyChange(add=add, remove=remove)})))
    (done,) = events(await handle(repo, group), OrderCompleted)
    after = (await repo.state(await repo.fetch())).workloads[workload].policies.values

    assert done.result == {workload: WorkloadResult(status="success")}
    wanted = {name: text for name, text in {**before, **add}.items() if name not in remove}
    pattern = wanted.pop("tag_all", None)
    wanted |= {"tag.main": pattern} if pattern else {}
    assert after == {name: text for name, text in wanted.items() if text != "glob:*"}
    assert (await world.log())[0] == subject
    (note,) = await notes(world)
    assert (note["spec"]["type"], note["result"]) == ("policy", None)
    assert note["spec"]["spec"][workload]["add"] == add

    again = said(order(PolicySpec(changes={workload: PolicyChange(add=add, remove=remove)})))
    (done,) = events(await handle(repo, again), OrderCompleted)
    assert (done.revision, done.result[workload].status) == ("", "skipped")


async def test_a_persons_message_stands_above_what_was_done(world: World) -> None:
    await world.copy.commit_and_push("Files", FILES)
    why = Cause(user=ANA.user, message="Freeze\n\nfor the fair")
    change = PolicyChange(add={"locked": "true", "automated": "true"})
    spec = PolicySpec(changes={API: change, WEB: PolicyChange(remove=("automated",))})
    await handle(await world.writer(), said(order(spec, why)))
    await world.log()
    message = await world.copy.git("log", "-1", "--format=%B")
    lines = [f"Automated: {API}", f"Deautomated: {WEB}", f"Locked: {API}"]
    told = "Freeze\n\nfor the fair\n\n" + "".join(f"- {line}\n" for line in lines)
    assert message.startswith(told)
