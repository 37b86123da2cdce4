"""The gateway answers Flux v1's clients as they expect it. No broker, no cluster."""

import base64
from collections.abc import AsyncIterator

import pytest

from shared.contract import (
    DependencyDown,
    OrderAccepted,
    OrderRejected,
    RollbackSpec,
    SyncCompleted,
    SyncRequested,
    UpdatePushed,
    UpdateRequested,
)
from tests.unit.gateway.stage import CART, NEW, OLD, PAY, REPOSITORY, Stage, a_stage

RELEASE = {
    "type": "image",
    "cause": {"Message": "roll out", "User": "Flux <user@example.com>"},
    "spec": {
        "ServiceSpecs": [CART],
        "ImageSpec": "<all latest>",
        "Kind": "execute",
        "Excludes": None,
        "Force": False,
    },
}


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with a_stage() as found:
        yield found


async def test_workloads_are_listed_with_what_git_and_the_cluster_say(stage: Stage) -> None:
    status, found = await stage.get("v6/services", namespace="")
    by_id = {one["ID"]: one for one in found}

    assert status == 200
    assert by_id[CART] == {
        "ID": CART,
        "Containers": [
            {
                "Name": "cart",
                "Current": {"ID": "quay.io/shop/cart:1.3.0", "Labels": {}},
                "LatestFiltered": {"ID": "", "Labels": {}},
            }
        ],
        "ReadOnly": "",
        "Status": "ready",
        "Rollout": {
            "Desired": 2,
            "Updated": 2,
            "Ready": 2,
            "Available": 2,
            "Outdated": 0,
            "Messages": None,
        },
        "SyncError": "",
        "Antecedent": "",
        "Labels": {"app": "cart"},
        "Automated": True,
        "Locked": False,
        "Ignore": False,
        "Policies": {"automated": "true", "tag.cart": "semver:~1"},
    }
    assert by_id[PAY]["SyncError"] == "quota exceeded"
    assert by_id["shop:cronjob/report"]["ReadOnly"] == "NotInRepo"


async def test_workloads_are_filtered_by_namespace_or_by_name_and_not_by_both(
    stage: Stage,
) -> None:
    assert await stage.get("v6/services", namespace="other") == (200, [])
    _, found = await stage.get("v11/services", namespace="", services=f"{CART},shop:x/y")
    assert [one["ID"] for one in found] == [CART]
    status, error = await stage.get("v11/services", namespace="shop", services=CART)
    assert (status, error["error"]) == (
        422,
        "cannot filter by 'namespace' and 'workloads' at the same time",
    )


async def test_images_are_listed_newest_first_with_their_counts(stage: Stage) -> None:
    status, found = await stage.get("v10/images", containerFields="", namespace="", service=CART)
    (one,) = found
    (container,) = one["Containers"]

    assert status == 200
    tags = [image["ID"].rpartition(":")[2] for image in container["Available"]]
    assert tags == ["2.0.0-rc.1", "1.4.0", "1.3.0", "latest"]
    assert container["Current"]["ID"] == "quay.io/shop/cart:1.3.0"
    assert container["LatestFiltered"]["ID"] == "quay.io/shop/cart:1.4.0"
    counts = (container["NewAvailableImagesCount"], container["NewFilteredImagesCount"])
    assert counts == (2, 1)


async def test_only_the_fields_that_are_asked_for_are_sent(stage: Stage) -> None:
    _, found = await stage.get("v10/images", containerFields="Name", namespace="", service=CART)
    assert found[0]["Containers"] == [{"Name": "cart"}]
    status, _ = await stage.get("v10/images", containerFields="Nome", namespace="", service=CART)
    assert status == 422


async def test_a_release_becomes_an_order_and_its_job_a_result(stage: Stage) -> None:
    status, job = await stage.post("v9/update-manifests", RELEASE)
    assert status == 200
    done = await stage.finished(job)

    assert done["StatusString"] == "succeeded"
    assert done["Err"] == ""
    assert done["Result"]["revision"] == NEW
    assert done["Result"]["spec"] == RELEASE
    assert done["Result"]["result"][CART] == {
        "Status": "success",
        "PerContainer": [
            {
                "Container": "cart",
                "Current": "quay.io/shop/cart:1.3.0",
                "Target": "quay.io/shop/cart:1.4.0",
            }
        ],
    }
    (order,) = [one for one in stage.heard if isinstance(one, UpdateRequested)]
    assert order.repository == REPOSITORY
    assert order.cause.user == "Flux <user@example.com>"


async def test_a_dry_run_is_answered_inline_and_orders_nothing(stage: Stage) -> None:
    plan = {**RELEASE, "spec": {**RELEASE["spec"], "Kind": "plan"}}
    _, job = await stage.post("v9/update-manifests", plan)
    done = await stage.finished(job)

    assert "revision" not in done["Result"]
    assert done["Result"]["result"][CART]["Status"] == "success"
    assert not any(isinstance(one, UpdateRequested) for one in stage.heard)


async def test_policies_may_be_a_map_or_the_older_list(stage: Stage) -> None:
    spec = {CART: {"add": ["locked"], "remove": {"tag.cart": "true"}}}
    body = {"type": "policy", "cause": {"Message": "", "User": ""}, "spec": spec}
    status, job = await stage.post("v9/update-manifests", body)

    assert status == 200
    assert (await stage.finished(job))["StatusString"] == "succeeded"
    (order,) = [one for one in stage.heard if isinstance(one, UpdateRequested)]
    change = order.spec.changes[CART]
    assert (change.add, change.remove) == ({"locked": "true"}, ("tag.cart",))


async def test_a_rollback_becomes_an_order(stage: Stage) -> None:
    body = {"type": "rollback", "cause": {"User": "Ann"}, "spec": {"Workloads": [CART]}}
    _, job = await stage.post("v9/update-manifests", body)

    assert (await stage.finished(job))["StatusString"] == "succeeded"
    (order,) = [one for one in stage.heard if isinstance(one, UpdateRequested)]
    assert order.spec == RollbackSpec(workloads=(CART,))


async def test_a_sync_tells_the_head_and_asks_every_sync(stage: Stage) -> None:
    body = '{"type":"sync","cause":{"Message":"","User":""},"spec":{}}'
    _, job = await stage.post("v9/update-manifests", body)
    done = await stage.finished(job)

    assert done["Result"]["revision"] == NEW
    assert any(isinstance(one, SyncRequested) for one in stage.heard)
    assert await stage.get("v6/sync", ref=NEW[:7]) == (200, [NEW])


async def test_a_sync_that_may_prune_names_the_head_that_was_seen(stage: Stage) -> None:
    cause = {"Message": "", "User": ""}
    for spec, allowed in (({}, ""), ({"allow_prune": True}, NEW)):
        body = {"type": "sync", "cause": cause, "spec": spec}
        await stage.finished((await stage.post("v9/update-manifests", body))[1])
        last = [one for one in stage.heard if isinstance(one, SyncRequested)][-1]
        assert (last.reason, last.allow_prune) == ("person", allowed)
    wrong = {"type": "sync", "cause": cause, "spec": {"allow_prune": "yes"}}
    assert (await stage.post("v9/update-manifests", wrong))[0] == 400


async def test_a_commit_of_ours_is_pending_at_once_and_not_once_it_is_applied(
    stage: Stage,
) -> None:
    pushed = UpdatePushed(
        repository=REPOSITORY, revision=NEW, previous=OLD, message="m", kind="release"
    )
    await stage.say(pushed)
    assert await stage.get("v6/sync", ref=NEW) == (200, [NEW])
    assert await stage.get("v6/sync", ref=OLD) == (200, [])
    completed = SyncCompleted(sync="apps", target="default", repository=REPOSITORY, revision=NEW)
    await stage.say(completed)
    assert await stage.get("v6/sync", ref=NEW) == (200, [])
    assert (await stage.get("v6/sync", ref="f" * 40))[0] == 422


async def test_a_rejected_order_fails_its_job_with_the_reason(stage: Stage) -> None:
    accepted = OrderAccepted(order="o", about=REPOSITORY)
    await stage.say(accepted, correlationid="job-1")
    assert (await stage.get("v6/jobs", id="job-1"))[1]["StatusString"] == "running"
    rejected = OrderRejected(order="o", about=REPOSITORY, reason="no changes made in repo")
    await stage.say(rejected, correlationid="job-1")
    _, found = await stage.get("v6/jobs", id="job-1")

    assert found["StatusString"] == "failed"
    assert found["Err"] == "no changes made in repo"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("v11/notify", '{"Kind": "tag"}', 400),
        ("v11/notify", "no json", 400),
        ("v11/notify", '{"Kind": "image", "Source": {"Name": {"Image": "UPPER"}}}', 400),
        ("v9/update-manifests", '{"type": "image"}', 400),
        ("v9/update-manifests", '{"type": "nonsense", "spec": {}}', 400),
        ("v9/update-manifests", '{"type": "image", "spec": {"ServiceSpecs": ["web"]}}', 400),
        ("v9/git-repo-config", "{}", 400),
        ("v9/unknown", "{}", 404),
        ("v6/services", "{}", 404),
        ("v3/anything", "{}", 410),
    ],
)
async def test_what_can_not_be_read_is_an_error_that_fluxctl_can_show(
    stage: Stage, path: str, body: str, status: int
) -> None:
    found, error = await stage.post(path, body)

    assert found == status
    assert isinstance(error, dict)
    assert error["error"]
    assert error["help"]


async def test_a_job_that_nobody_knows_is_a_404(stage: Stage) -> None:
    status, error = await stage.get("v6/jobs", id="nonsense")
    assert status == 404
    assert error["error"] == 'unknown job "nonsense"'
    assert (await stage.get("v6/jobs"))[0] == 404


async def test_the_repository_is_told_with_its_state(stage: Stage) -> None:
    _, config = await stage.post("v9/git-repo-config", "false")
    assert config["status"] == "ready"
    assert config["remote"]["branch"] == "main"
    down = DependencyDown(
        service="git-watcher", dependency="git host git.example.com", reason="refused"
    )
    await stage.say(down)
    _, config = await stage.post("v9/git-repo-config", "false")
    assert config["status"] == "unreachable"
    assert "refused" in config["errors"]


async def test_nobody_who_answers_is_told_by_name() -> None:
    async with a_stage(alive=(), deadline=0.1) as stage:
        _, found = await stage.get("v10/images", namespace="", service=CART)
        error = found[0]["Containers"][0]["AvailableError"]
        assert "is registry-scanner running?" in error
        body = '{"type":"sync","cause":{},"spec":{}}'
        _, job = await stage.post("v9/update-manifests", body)
        done = await stage.finished(job)
        assert done["StatusString"] == "failed"
        assert "is git-watcher running?" in done["Err"]


@pytest.mark.parametrize(
    "authorization",
    [
        "Scope-Probe token=secret",
        "Bearer secret",
        "Basic " + base64.b64encode(b"anybody:secret").decode(),
    ],
)
async def test_with_a_token_only_those_who_show_it_are_let_in(
    authorization: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_TOKEN", "secret")
    async with a_stage(token={"env": "GATEWAY_TOKEN"}) as stage:
        url = f"{stage.url}/v6/services"
        async with stage.session.get(url) as answer:
            assert answer.status == 401
        wrong = {"Authorization": "Bearer wrong"}
        async with stage.session.get(url, headers=wrong) as answer:
            assert answer.status == 401
        async with stage.session.get(url, headers={"Authorization": authorization}) as answer:
            assert answer.status == 200
