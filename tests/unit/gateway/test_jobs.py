"""What becomes of a request can be read as long as anybody asks, and names who is silent."""

from collections.abc import AsyncIterator, Sequence

import pytest

from shared.contract import (
    ContainersSpec,
    Envelope,
    HeadQuestion,
    HeadTold,
    ImageSpec,
    Message,
    OrderAccepted,
    OrderCompleted,
    OrderRejected,
    PlanMade,
    PlanQuestion,
    PolicySpec,
    UpdateRequested,
    WorkloadResult,
)
from tests.unit.gateway.stage import (
    APPS,
    CART,
    NEW,
    PAST,
    PAY,
    REPOSITORY,
    SUCCESS,
    Stage,
    StateDeclared,
    a_stage,
    workload,
)

OTHER_URL = "https://git.example.com/shop/other.git"
OTHER = "git.example.com/shop/other#main"
TWO = [APPS, {"name": "other", "git": {"url": OTHER_URL, "branch": "main"}}]
WEB = "shop:deployment/web"
OTHER_PAST = (
    *PAST,
    StateDeclared(
        sync="other",
        target="default",
        repository=OTHER,
        url=OTHER_URL,
        branch="main",
        revision=NEW,
        bundle="d",
        workloads=(workload(WEB),),
    ),
)


def image_order(*workloads: str, kind: str = "execute") -> dict:
    spec = {"ServiceSpecs": list(workloads), "ImageSpec": "<all latest>", "Kind": kind}
    return {"type": "image", "spec": {**spec, "Excludes": None, "Force": False}}


def orders(stage: Stage) -> list[UpdateRequested]:
    return [one for one in stage.heard if isinstance(one, UpdateRequested)]


async def test_an_order_that_nobody_takes_ends_with_the_name_of_who_should() -> None:
    async with a_stage(alive=(), unheard=1) as stage:
        _, job = await stage.post("v9/update-manifests", image_order(CART))
        assert (await stage.get("v6/jobs", id=job))[1]["StatusString"] == "queued"
        done = await stage.finished(job)
        assert done["StatusString"] == "failed"
        assert "is repo-writer running?" in done["Err"]
        # It was not lost: it goes on as soon as somebody takes it.
        await stage.say(OrderAccepted(order="o", about=REPOSITORY), correlationid=job)
        assert (await stage.get("v6/jobs", id=job))[1]["StatusString"] == "running"


async def test_a_job_is_read_from_the_log_after_a_restart() -> None:
    accepted = OrderAccepted(order="o", about=REPOSITORY)
    done = OrderCompleted(order="o", about=REPOSITORY, revision=NEW, result={CART: SUCCESS})
    async with a_stage() as stage:
        await stage.say(accepted, done, correlationid="job-before")
        _, found = await stage.get("v6/jobs", id="job-before")
        assert found["StatusString"] == "succeeded"
        assert found["Result"]["revision"] == NEW
        assert found["Result"]["result"][CART]["Status"] == "success"


async def test_what_is_told_twice_counts_once(stage_two: Stage) -> None:
    refused = OrderRejected(order="o", about=REPOSITORY, reason="no changes made in repo")
    await stage_two.say(refused, refused, correlationid="job-1")
    _, found = await stage_two.get("v6/jobs", id="job-1")
    assert found == {
        "Result": {},
        "Err": "no changes made in repo",
        "StatusString": "failed",
    }


@pytest.fixture
async def stage_two() -> AsyncIterator[Stage]:
    async with a_stage(syncs=TWO, past=OTHER_PAST) as found:
        yield found


async def test_a_release_goes_to_the_repositories_that_declare_its_workloads(
    stage_two: Stage,
) -> None:
    _, job = await stage_two.post("v9/update-manifests", image_order(CART, WEB))
    await stage_two.finished(job)
    assert {(one.repository, one.syncs, one.spec.workloads) for one in orders(stage_two)} == {  # type: ignore[union-attr]
        (REPOSITORY, ("apps",), (CART,)),
        (OTHER, ("other",), (WEB,)),
    }


async def test_the_old_form_of_a_name_finds_its_repository(stage_two: Stage) -> None:
    _, job = await stage_two.post("v9/update-manifests", image_order("shop/web"))
    await stage_two.finished(job)
    assert [one.repository for one in orders(stage_two)] == [OTHER]


async def test_one_repository_without_changes_does_not_fail_a_release_of_two() -> None:
    def half(envelope: Envelope) -> Sequence[Message]:
        match envelope.message:
            case UpdateRequested(repository=about) if about == OTHER:
                reason = "no changes made in repo"
                return [OrderRejected(order=envelope.id, about=about, reason=reason)]
            case UpdateRequested(repository=about):
                done = OrderCompleted(
                    order=envelope.id, about=about, revision=NEW, result={CART: SUCCESS}
                )
                return [done]
        return []

    async with a_stage(syncs=TWO, past=OTHER_PAST, answers=half) as stage:
        _, job = await stage.post("v9/update-manifests", image_order("<all>"))
        done = await stage.finished(job)
        assert (done["StatusString"], done["Err"]) == ("succeeded", "")
        assert done["Result"]["revision"] == NEW


async def test_policies_that_were_so_already_are_no_failure() -> None:
    skipped = WorkloadResult(status="skipped")

    def nothing(envelope: Envelope) -> Sequence[Message]:
        if not isinstance(envelope.message, UpdateRequested):
            return []
        return [OrderCompleted(order=envelope.id, about=REPOSITORY, result={PAY: skipped})]

    async with a_stage(answers=nothing) as stage:
        body = {"type": "policy", "spec": {PAY: {"add": {"locked": "true"}, "remove": {}}}}
        _, job = await stage.post("v9/update-manifests", body)
        done = await stage.finished(job)
        assert done["StatusString"] == "succeeded"
        assert "revision" not in done["Result"]
        assert done["Result"]["result"] == {PAY: {"Status": "skipped", "PerContainer": None}}


async def test_something_done_has_a_result_even_if_that_is_empty() -> None:
    def terse(envelope: Envelope) -> Sequence[Message]:
        if not isinstance(envelope.message, UpdateRequested):
            return []
        return [OrderCompleted(order=envelope.id, about=REPOSITORY, revision=NEW)]

    async with a_stage(answers=terse) as stage:
        _, job = await stage.post("v9/update-manifests", image_order(CART))
        assert (await stage.finished(job))["Result"]["result"] == {}


async def test_a_plan_that_changes_nothing_is_an_empty_result() -> None:
    def empty(envelope: Envelope) -> Sequence[Message]:
        return [PlanMade()] if isinstance(envelope.message, PlanQuestion) else []

    async with a_stage(answers=empty) as stage:
        _, job = await stage.post("v9/update-manifests", image_order(CART, kind="plan"))
        done = await stage.finished(job)
        assert done["Result"]["result"] == {}
        assert "revision" not in done["Result"]


async def test_a_plan_that_fails_fails_the_request() -> None:
    def refuse(envelope: Envelope) -> Sequence[Message]:
        asked = isinstance(envelope.message, PlanQuestion)
        return [PlanMade(error="cannot satisfy specs")] if asked else []

    async with a_stage(answers=refuse) as stage:
        status, error = await stage.post("v9/update-manifests", image_order(CART, kind="plan"))
        assert (status, error["error"]) == (422, "cannot satisfy specs")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (HeadTold(error="git host git.example.com: refused"), "refused"),
        (HeadTold(revision="", branch="main"), "no revision"),
        (HeadTold(revision="abc", branch="main"), "no revision"),
    ],
)
async def test_a_sync_without_a_head_fails_rather_than_crash_the_client(
    told: HeadTold, said: str
) -> None:
    def head(envelope: Envelope) -> Sequence[Message]:
        return [told] if isinstance(envelope.message, HeadQuestion) else []

    async with a_stage(answers=head) as stage:
        _, job = await stage.post("v9/update-manifests", {"type": "sync", "spec": None})
        done = await stage.finished(job)
        assert done["StatusString"] == "failed"
        assert said in done["Err"]


async def test_a_sync_fails_if_one_of_several_repositories_can_not_be_read() -> None:
    def half(envelope: Envelope) -> Sequence[Message]:
        match envelope.message:
            case HeadQuestion(repository=about):
                return [HeadTold(revision=NEW) if about == REPOSITORY else HeadTold(error="gone")]
        return []

    async with a_stage(syncs=TWO, past=OTHER_PAST, answers=half) as stage:
        _, job = await stage.post("v9/update-manifests", {"type": "sync", "spec": {}})
        assert (await stage.finished(job))["Err"] == "gone"


async def test_a_sync_of_several_repositories_tells_the_head_of_the_one_that_is_shown() -> None:
    def heads(envelope: Envelope) -> Sequence[Message]:
        match envelope.message:
            case HeadQuestion(repository=about):
                return [HeadTold(revision=NEW if about == REPOSITORY else "c" * 40)]
        return []

    async with a_stage(syncs=TWO, past=OTHER_PAST, answers=heads) as stage:
        _, job = await stage.post("v9/update-manifests", {"type": "sync", "spec": {}})
        done = await stage.finished(job)
        # No spec and no result, as in the original.
        assert done == {"Result": {"revision": NEW}, "Err": "", "StatusString": "succeeded"}


CHANGE = {
    "container": "cart",
    "current": "quay.io/shop/cart:1.3.0",
    "target": "quay.io/shop/cart:1.4.0",
}


@pytest.mark.parametrize(
    ("sent", "understood"),
    [
        (
            {
                "type": "containers",
                "spec": {
                    "Kind": "execute",
                    "ContainerSpecs": {
                        CART: [
                            {key.capitalize(): value for key, value in CHANGE.items()},
                            {"Container": "x", "Target": "a:2"},
                        ]
                    },
                    "SkipMismatches": True,
                    "Force": True,
                },
            },
            {
                "changes": {CART: [CHANGE, {"container": "x", "current": "", "target": "a:2"}]},
                "skip_mismatches": True,
                "force": True,
            },
        ),
        (
            {
                "type": "auto",
                "spec": {
                    "Changes": [
                        {
                            "WorkloadID": CART,
                            "Container": {"Name": "cart", "Image": CHANGE["current"]},
                            "ImageID": CHANGE["target"],
                        }
                    ]
                },
            },
            {"changes": {CART: [CHANGE]}, "skip_mismatches": True},
        ),
        (
            {"type": "policy", "spec": {CART: {"ADD": ["locked"], "remove": None}}},
            {"changes": {CART: {"add": {"locked": "true"}}}},
        ),
    ],
)
async def test_orders_are_understood_as_they_were_meant(sent: dict, understood: dict) -> None:
    async with a_stage() as stage:
        _, job = await stage.post("v9/update-manifests", sent)
        await stage.finished(job)
        (order,) = orders(stage)
        kind = PolicySpec if sent["type"] == "policy" else ContainersSpec
        assert order.spec == kind.model_validate(understood)


async def test_the_routes_of_older_clients_give_the_same_orders() -> None:
    async with a_stage() as stage:
        path = (
            f"v6/update-images?service={CART}&service={PAY}&image=quay.io/shop/cart:1.4.0"
            f"&kind=execute&exclude={PAY}&user=Ana&message=roll+out"
        )
        status, job = await stage.send("POST", path)
        assert status == 200
        await stage.finished(job)
        status, job = await stage.send(
            "PATCH",
            "v6/policies?user=Ana",
            b'{"%s": {"add": ["locked"], "remove": {}}}' % CART.encode(),
        )
        assert status == 200
        await stage.finished(job)

        release, policy = orders(stage)
        assert release.spec == ImageSpec(
            workloads=(CART, PAY), image="quay.io/shop/cart:1.4.0", excludes=(PAY,)
        )
        assert (release.cause.user, release.cause.message) == ("Ana", "roll out")
        assert policy.spec.changes[CART].add == {"locked": "true"}  # type: ignore[union-attr]
