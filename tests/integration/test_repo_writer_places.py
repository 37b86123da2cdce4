"""Which files of a repository repo_writer reads and writes, and how often it reads them."""

import os
from collections.abc import Mapping

from services.repo_writer.settings import Place
from shared.contract import UpdatePushed, UpdateRejected
from shared.manifests import Policies
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

API = "default:deployment/api"


async def test_paths_overlap_charts_are_left_out_and_a_missing_path_harms_nobody(
    world: World,
) -> None:
    chart = {"apps/chart/Chart.yaml": "name: x\n", "apps/chart/values.yaml": "image: x\n"}
    files = {"apps/chart/templates/api.yaml": deployment("api", "0.1.0"), **chart}
    files["apps/web.yaml"] = AUTOMATED.replace("web", "api")
    await world.copy.commit_and_push("Apps", files)
    places = [
        Place(sync="one", paths=("missing", "apps"), default_namespace="default"),
        Place(sync="two", paths=(), default_namespace="other"),
        Place(sync="three", paths=("apps/web.yaml",), default_namespace="default"),
    ]
    updates = [
        found(workload=API).model_copy(update={"sync": "one"}),
        found(workload="other:deployment/api").model_copy(update={"sync": "two"}),
    ]
    outcome = await handle(await world.writer("mirror", *places), said(*updates))

    assert not events(outcome, UpdateRejected)
    (pushed,) = events(outcome, UpdatePushed)
    assert set(pushed.result) == {API, "other:deployment/api"}
    await world.log()
    assert "api:0.1.0" in world.copy.read("apps/chart/templates/api.yaml")
    assert "api:1.1.0" in world.copy.read("apps/web.yaml")


async def test_workloads_of_one_name_are_written_where_they_were_found(world: World) -> None:
    files = {"prod/web.yaml": AUTOMATED, "staging/web.yaml": AUTOMATED.replace("1.0.0", "1.0.5")}
    await world.copy.commit_and_push("Two", {**files, "web.yaml": "# moved\n"})
    places = [
        Place(sync=name, paths=(name,), default_namespace="default") for name in ("prod", "staging")
    ]
    repo = await world.writer("mirror", *places)
    update = found(current="1.0.5").model_copy(update={"sync": "staging"})
    order = policies(WEB, locked="true").model_copy(update={"syncs": ("prod",)})
    outcome = await handle(repo, said(update, order))

    assert not outcome.failed
    assert await world.log() == [f"Auto-release {HOST}/web:1.1.0", f"Locked: {WEB}", "Two", "First"]
    assert world.copy.read("staging/web.yaml") == AUTOMATED.replace("1.0.0", "1.1.0")
    assert "fluxcd.io/locked" in world.copy.read("prod/web.yaml")


async def test_what_is_followed_is_what_would_be_read_anew(world: World) -> None:
    places = [
        Place(sync="one", paths=("apps",), default_namespace="default"),
        Place(sync="two", paths=(), default_namespace="other"),
    ]
    files = {f"apps/{name}.yaml": deployment(name, "1") for name in "abcd"}
    files["base/f.yaml"] = deployment("f", "1")
    world.copy.write(files)
    (world.copy.directory / "apps/link.yaml").symlink_to("../base/f.yaml")
    await world.copy.commit_and_push("Many", {})
    following = await world.writer("mirror", *places)
    changes: list[Mapping[str, str | None]] = [
        {"apps/a.yaml": deployment("a", "2")},
        {"base/f.yaml": deployment("f", "2")},
        {"apps/a.yaml": None, "apps/b.yaml": deployment("b", "2"), "note": "c"},
        {"apps/e.yaml": deployment("e", "1")},
        {"apps/b.yaml": deployment("c", "1")},
        {"apps/b.yaml": deployment("b", "3"), "apps/c.yaml": "image: {"},
        {"apps/c.yaml": deployment("c", "3")},
        {"apps/Chart.yaml": "name: x\n", "apps/values.yaml": "image: x\n"},
        {"apps/d.yaml": deployment("d", "2")},
        {"apps/Chart.yaml": None},
    ]
    for number, change in enumerate(changes):
        for file, text in change.items():
            if text is None:
                world.copy.remove(file)
            else:
                world.copy.write({file: text})
        await world.copy.commit(f"Change {number}")
        await world.copy.push()
        anew = await world.writer(f"anew-{number}", *places)
        head = await following.fetch()
        assert head == await anew.fetch()
        for syncs in ((), ("one",), ("two",), ("one", "two")):
            assert await following.state(head, syncs) == await anew.state(head, syncs)


async def test_a_file_is_parsed_once_however_often_the_branch_moves(world: World) -> None:
    repo = await world.writer()
    states = [await repo.state(await repo.fetch())]
    await world.copy.commit_and_push("Others", {"more.yaml": deployment("more", "1")})
    states.append(await repo.state(await repo.fetch()))

    assert states[0].workloads[WEB] is states[1].workloads[WEB]
    assert set(states[1].workloads) == {WEB, "default:deployment/more"}


async def test_a_file_whose_name_is_no_text_is_told_and_all_else_lands(world: World) -> None:
    odd = world.copy.directory / os.fsdecode(b"odd-\xff.yaml")
    odd.write_text(AUTOMATED.replace("web", "api"))
    await world.copy.commit_and_push("Odd", {})
    outcome = await handle(await world.writer(), said(found(workload=API), found()))

    (pushed,) = events(outcome, UpdatePushed)
    assert set(pushed.result) == {WEB}
    (rejected,) = events(outcome, UpdateRejected)
    assert "odd-\ufffd.yaml: the file's name is no UTF-8; rename it" in rejected.reason


@BY_BOTH_DOORS
async def test_each_bad_part_is_named_with_its_place_and_all_else_lands(world: World) -> None:
    pattern = {"automated": "true", "tag.main": "semver:~one"}
    files = {
        "odd.yaml": deployment("odd", "1.0.0", **pattern),
        "a/api.yaml": AUTOMATED.replace("web", "api"),
        "b/api.yaml": "---\n" + AUTOMATED.replace("web", "api"),
        "broken.yaml": "kind: Deployment\nspec: {image: [}\n",
    }
    await world.copy.commit_and_push("Bad", files)
    digest = Policies(values=pattern).digest()
    odd = found(workload="default:deployment/odd").model_copy(update={"policy_digest": digest})
    updates = [odd, found(workload=API), found(workload="default:deployment/gone"), found()]
    outcome = await handle(await world.writer(), said(*updates))

    reasons = {
        one.workload.rpartition("/")[2]: one.reason for one in events(outcome, UpdateRejected)
    }
    assert reasons.keys() == {"odd", "api", "gone"}
    assert reasons["odd"].startswith("unwritable: odd.yaml:1: semver:~one matches no tag")
    assert "declared in a/api.yaml:1 and in b/api.yaml:2" in reasons["api"]
    assert "(could not be read: broken.yaml:2: not valid YAML" in reasons["gone"]
    assert set(events(outcome, UpdatePushed)[0].result) == {WEB}
    assert (await world.log())[0] == f"Auto-release {HOST}/web:1.1.0"
