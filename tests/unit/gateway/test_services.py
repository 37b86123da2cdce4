"""Workloads are told with what git, the cluster and the last sync say of them."""

import asyncio

import pytest

from services.gateway.attendance import Attendance
from shared.contract import (
    DependencyDown,
    DependencyUp,
    Draft,
    Message,
    ObjectResult,
    Rollout,
    SyncCompleted,
    WorkloadChanged,
)
from tests.unit.gateway.stage import (
    APPS,
    BRISK,
    CART,
    OLD,
    PAST,
    PAY,
    REPOSITORY,
    URL,
    Stage,
    Stages,
    StateDeclared,
    a_stage,
    willing,
)

STATE = next(one for one in PAST if isinstance(one, StateDeclared))
HOST = "git host git.example.com"


async def one(stage: Stage, name: str) -> dict:
    _, found = await stage.get("v6/services", namespace="")
    return next(item for item in found if item["ID"] == name)


def live(name: str, **fields: object) -> WorkloadChanged:
    return WorkloadChanged.model_validate(
        {"sync": "", "target": "default", "id": name, "status": "ready", **fields}
    )


async def test_a_custom_resource_that_tells_how_it_does_is_no_workload() -> None:
    async with a_stage() as stage:
        await stage.say(live("a:gear/z"), live("a:job/z", containers={"c": "web:1"}))
        _, found = await stage.get("v6/services", namespace="a")
        assert [item["ID"] for item in found] == ["a:job/z"]


async def test_they_are_ordered_by_name() -> None:
    async with a_stage() as stage:
        await stage.say(live("a:deployment/z"), live("z:deployment/a"))
        _, found = await stage.get("v6/services", namespace="")
        ids = [item["ID"] for item in found]
        assert ids == sorted(ids)
        assert len(ids) == 5


async def test_nothing_known_is_an_empty_list_and_never_an_empty_body() -> None:
    async with a_stage(past=()) as stage:
        assert await stage.get("v6/services", namespace="") == (200, [])
        assert await stage.get("v10/images", service="<all>") == (200, [])


async def test_messages_are_null_until_something_is_wrong() -> None:
    async with a_stage() as stage:
        assert (await one(stage, CART))["Rollout"]["Messages"] is None
        await stage.say(live(CART, status="error", rollout=Rollout(messages=("no quota",))))
        assert (await one(stage, CART))["Rollout"]["Messages"] == ["no quota"]


async def test_why_a_workload_can_not_be_changed() -> None:
    readonly = {"name": "apps", "git": {"url": URL, "branch": "main", "readonly": True}}
    async with a_stage(syncs=[readonly], past=()) as stage:
        await stage.say(live("shop:cronjob/report"))
        assert (await one(stage, "shop:cronjob/report"))["ReadOnly"] == "NotReady"
        await stage.say(STATE)
        assert (await one(stage, "shop:cronjob/report"))["ReadOnly"] == "NotInRepo"
        assert (await one(stage, CART))["ReadOnly"] == "ReadOnlyMode"
    elsewhere = {**APPS, "target": "elsewhere"}
    targets = [{"name": "default"}, {"name": "elsewhere"}]
    async with a_stage(syncs=[elsewhere], targets=targets, past=()) as stage:
        await stage.say(live("shop:cronjob/report"))
        assert (await one(stage, "shop:cronjob/report"))["ReadOnly"] == "NoRepo"
        _, config = await stage.post("v9/git-repo-config", "false")
        assert config["status"] == "unconfigured"
        assert config["errors"] == ""


@pytest.mark.parametrize(
    "labels",
    [
        {"kubernetes.io/cluster-service": "true"},
        {"addonmanager.kubernetes.io/mode": "EnsureExists"},
        {"addonmanager.kubernetes.io/mode": "Reconcile"},
    ],
)
async def test_add_ons_of_the_cluster_are_not_shown(labels: dict) -> None:
    async with a_stage(past=()) as stage:
        await stage.say(
            live("kube-system:deployment/dns", labels=labels),
            live("kube-system:deployment/ours"),
            live("shop:deployment/labelled", labels=labels),
        )
        _, found = await stage.get("v6/services", namespace="")
        ids = [item["ID"] for item in found]
        assert ids == ["kube-system:deployment/ours", "shop:deployment/labelled"]


async def test_init_containers_and_injected_ones_come_last() -> None:
    async with a_stage() as stage:
        running = {"proxy": "envoy:1", "cart": "quay.io/shop/cart:1.4.0"}
        await stage.say(live(CART, containers=running))
        found = (await one(stage, CART))["Containers"]
        assert [(c["Name"], c["Current"]["ID"]) for c in found] == [
            ("cart", "quay.io/shop/cart:1.4.0"),
            ("proxy", "envoy:1"),
        ]


async def test_errors_of_objects_end_with_the_next_sync_and_strange_ids_do_no_harm() -> None:
    async with a_stage() as stage:
        assert (await one(stage, PAY))["SyncError"] == "quota exceeded"
        strange = ObjectResult(id="nonsense", action="failed", message="x")
        done = SyncCompleted(
            sync="apps", target="default", repository=REPOSITORY, revision=OLD, objects=(strange,)
        )
        await stage.say(done)
        assert (await one(stage, PAY))["SyncError"] == ""


async def test_several_workloads_are_asked_for_in_one_parameter_or_in_many() -> None:
    async with a_stage() as stage:
        _, joined = await stage.get("v11/services", services=f"{CART},{PAY},shop:x/y")
        path = f"v11/services?services={CART}&services={PAY}"
        _, repeated = await stage.send("GET", path)
        assert [item["ID"] for item in joined] == [CART, PAY]
        assert joined == repeated
        assert (await stage.get("v11/services", services="nonsense"))[0] == 400


async def test_a_git_host_is_down_until_everybody_who_said_so_takes_it_back_or_is_gone() -> None:
    async def status(stage: Stage) -> tuple[str, str]:
        _, config = await stage.post("v9/git-repo-config", "false")
        return config["status"], config["errors"]

    def fold(stage: Stage, source: str, message: Message) -> None:
        stage.view.fold(Draft(message=message).sealed(source))

    def down(name: str = HOST) -> DependencyDown:
        secret = "https://me:secret@git.example.com refused"
        return DependencyDown(service="git-watcher", dependency=name, reason=secret)

    async with a_stage() as stage:
        fold(stage, "/git-watcher/1", down("git host other.example.com"))
        assert (await status(stage))[0] == "ready"
        fold(stage, "/git-watcher/1", down())
        fold(stage, "/repo-writer/1", down())
        what, errors = await status(stage)
        assert what == "unreachable"
        assert "refused" in errors
        assert "secret" not in errors
        _, syncs = await stage.send("GET", "../v1/syncs")
        assert "secret" not in str(syncs)
        up = DependencyUp(service="git-watcher", dependency=HOST, seconds=1.0)
        fold(stage, "/git-watcher/1", up)
        assert (await status(stage))[0] == "unreachable"
        # repo-writer was restarted meanwhile: it does not know that it ever was down.
        stage.view.present = {"repo-writer": frozenset({"/repo-writer/2"})}
        assert (await status(stage))[0] == "ready"


async def test_a_stage_of_which_no_replica_is_heard_is_named_until_one_is() -> None:
    async def down(stage: Stage) -> dict[str, str]:
        _, found = await stage.send("GET", "../v1/syncs")
        return dict(found[0]["dependencies_down"])

    async def wait_down(stage: Stage, wanted: dict[str, str]) -> None:
        async with asyncio.timeout(30):
            while await down(stage) != wanted:
                await asyncio.sleep(0.02)

    async with a_stage(alive=["git-watcher", "registry-scanner", "repo-writer"]) as stage:
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(Attendance(stage.bus, stage.view, gone=1.0).run(stop))
            assert await down(stage) == {}
            await wait_down(stage, {"cluster-applier": "no replica of it is running"})
            async with stage.broker.connect("/cluster-applier/1", pace=BRISK) as bus:
                group.create_task(bus.worker("cluster-applier", Stages(willing))(stop))
                await wait_down(stage, {})
            stop.set()
