"""Whose file is edited, and what is told where nobody can say which one."""

import pytest

from shared.bus.port import Outcome
from shared.contract import (
    ImagesFound,
    OrderCompleted,
    PlanMade,
    PlanQuestion,
    UpdatePushed,
    UpdateRejected,
)
from tests.unit.repo_writer.fakes import FakeRegistry, FakeRepo
from tests.unit.repo_writer.given import (
    AUTOMATED,
    HOST,
    PINNED,
    REPOSITORY,
    WEB,
    events,
    found,
    handle,
    policies,
    release,
    said,
    ticked,
)

# Two syncs for two clusters, each with a workload of the same name.
PROD, STAGING = "@prod/web.yaml", "@staging/web.yaml"
BOTH = {PROD: AUTOMATED, STAGING: AUTOMATED.replace("1.0.0", "1.0.5")}
OTHER = AUTOMATED.replace("web", "api")
TWICE = "it is declared in a.yaml:1 and in b.yaml:1; leave only one of them"
BROKEN = "kind: Deployment\nimage: [\n"


def of(sync: str, current: str, chosen: str = "1.1.0") -> ImagesFound:
    return found(current=current, chosen=chosen).model_copy(update={"sync": sync})


def rejected(outcome: Outcome) -> dict[str, str]:
    return {one.workload: one.reason for one in events(outcome, UpdateRejected)}


async def test_an_update_is_written_to_the_sync_that_it_was_found_for() -> None:
    repo = FakeRepo(BOTH)
    await handle(repo, said(of("staging", "1.0.5")))
    assert (repo.file(PROD), repo.file(STAGING)) == (
        BOTH[PROD],
        BOTH[STAGING].replace("1.0.5", "1.1.0"),
    )


async def test_updates_of_two_syncs_are_one_commit_and_each_is_told() -> None:
    repo = FakeRepo(BOTH)
    outcome = await handle(repo, said(of("staging", "1.0.5"), of("prod", "1.0.0", "1.0.9")))
    assert "web:1.0.9" in repo.file(PROD)
    assert "web:1.1.0" in repo.file(STAGING)
    (pushed,) = events(outcome, UpdatePushed)
    assert {change.target for change in pushed.result[WEB].changes} == {
        f"{HOST}/web:1.0.9",
        f"{HOST}/web:1.1.0",
    }


async def test_where_one_of_two_syncs_can_not_be_edited_the_other_lands() -> None:
    shared = AUTOMATED.replace("image: ", "image: &x ") + "        - {name: copy, image: *x}\n"
    repo = FakeRepo({**BOTH, PROD: shared})
    outcome = await handle(repo, said(of("staging", "1.0.5"), of("prod", "1.0.0")))
    assert "web:1.1.0" in repo.file(STAGING)
    assert "shared by an anchor" in rejected(outcome)[WEB]
    (pushed,) = events(outcome, UpdatePushed)
    assert [change.current for change in pushed.result[WEB].changes] == [f"{HOST}/web:1.0.5"]


async def test_an_order_is_for_the_syncs_of_its_cluster() -> None:
    repo = FakeRepo(BOTH)
    order = release().model_copy(update={"syncs": ("prod",)})
    await handle(repo, said(order))
    assert (repo.file(STAGING), "web:1.1.0" in repo.file(PROD)) == (BOTH[STAGING], True)
    question = PlanQuestion(repository=REPOSITORY, syncs=("staging",), spec=order.spec)
    (made,) = events(await handle(repo, said(question)), PlanMade)
    assert [change.current for change in made.result[WEB].changes] == [f"{HOST}/web:1.0.5"]


async def test_a_workload_that_two_files_declare_is_named_and_all_else_lands() -> None:
    files = {"a.yaml": AUTOMATED, "b.yaml": AUTOMATED, "c.yaml": OTHER}
    registry = FakeRegistry(web=("1.1.0",), api=("1.1.0",))
    (done,) = events(await handle(FakeRepo(files), said(release()), registry), OrderCompleted)
    assert {name: (one.status, one.error) for name, one in done.result.items()} == {
        WEB: ("failed", TWICE),
        "default:deployment/api": ("success", ""),
    }
    group = said(found(), found(workload="default:deployment/api"))
    outcome = await handle(FakeRepo(files), group)
    assert rejected(outcome) == {WEB: f"unwritable: {TWICE}"}
    assert set(events(outcome, UpdatePushed)[0].result) == {"default:deployment/api"}
    (done,) = events(
        await handle(FakeRepo(files), said(policies(WEB, locked="true"))), OrderCompleted
    )
    assert (done.result[WEB].status, done.result[WEB].error) == ("failed", TWICE)
    ticks = ticked(
        {
            WEB: [("main", "", f"{HOST}/web:2")],
            "default:deployment/api": [("main", "", f"{HOST}/api:2")],
        }
    )
    (done,) = events(await handle(FakeRepo(files), said(ticks)), OrderCompleted)
    assert done.result[WEB].error == TWICE
    assert done.result["default:deployment/api"].status == "success"


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (BROKEN, "broken.yaml:2: not valid YAML: did not find expected node content"),
        ("apiVersion: v1\nkind: Pod\nspec: {image: x}\n", "broken.yaml:1: the Pod has no metadata"),
    ],
)
async def test_a_file_that_can_not_be_read_is_named_where_a_workload_is_missing(
    broken: str, why: str
) -> None:
    repo = FakeRepo({"broken.yaml": broken, "c.yaml": OTHER})
    group = said(found(), found(workload="default:deployment/api"))
    outcome = await handle(repo, group)
    assert rejected(outcome) == {WEB: f"unwritable: not found (could not be read: {why})"}
    assert "api:1.1.0" in repo.file("c.yaml")
    registry = FakeRegistry(api=("1.2.0", "1.1.0"))
    order = release("<all latest>", WEB, "default:deployment/api")
    (done,) = events(await handle(repo, said(order), registry), OrderCompleted)
    assert done.result[WEB].error == f"not found in repository (could not be read: {why})"
    assert done.result["default:deployment/api"].status == "success"
    (done,) = events(await handle(repo, said(policies(PINNED, locked="true"))), OrderCompleted)
    assert done.result[PINNED].error == f"(could not be read: {why})"


async def test_of_many_files_that_can_not_be_read_some_are_named() -> None:
    repo = FakeRepo({f"{number}.yaml": BROKEN for number in range(5)})
    assert rejected(await handle(repo, said(found())))[WEB].endswith(" and 2 more)")


async def test_of_an_encrypted_file_nothing_is_written_and_the_reason_is_told() -> None:
    cipher = "ENC[AES256_GCM,data:DX1o==,iv:SAlN=,tag:1TBe==,type:str]"
    sops = f"sops: {{mac: '{cipher}'}}\n"
    hidden = f"kind: '{cipher}'\nspec: {{image: '{cipher}'}}\n{sops}"
    files = {"a.yaml": f"{AUTOMATED}{sops}", "b.yaml": hidden, "c.yaml": OTHER}
    repo = FakeRepo(files)
    group = said(found(), found(workload="default:deployment/api"), found(workload="default:job/x"))
    reasons = rejected(await handle(repo, group))
    assert "a.yaml: it is encrypted by sops" in reasons[WEB]
    assert "b.yaml: it is encrypted, and its names can't be read" in reasons["default:job/x"]
    assert repo.file("a.yaml") == files["a.yaml"]
    assert "api:1.1.0" in repo.file("c.yaml")
