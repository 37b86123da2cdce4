"""One sync by hand: suspended, resumed, compared; and what people see of it."""

from collections.abc import Sequence

from shared.contract import (
    DiffMade,
    DiffQuestion,
    EncryptedFile,
    Envelope,
    Message,
    ObjectHealth,
    SuspendRequested,
    SyncCompleted,
    SyncHeld,
)
from tests.unit.gateway.stage import NEW, OLD, REPOSITORY, Stage, a_stage, willing

SYNCS = "../../api/v1/syncs"


async def suspended(stage: Stage) -> None:
    await stage.say(
        SyncHeld(sync="apps", target="default", reason="suspended by a", suspended=True)
    )


async def shown(stage: Stage) -> dict:
    return (await stage.get(SYNCS))[1][0]


async def test_a_sync_is_suspended_and_resumed_by_an_order_with_a_job() -> None:
    async with a_stage() as stage:
        for what, wanted in (("suspend", True), ("resume", False)):
            path = f"{SYNCS}/apps/{what}?user=a@example.com&message=why"
            status, job = await stage.send("POST", path)
            assert status == 200
            assert (await stage.finished(job))["StatusString"] == "succeeded"
            order = next(one for one in reversed(stage.heard) if isinstance(one, SuspendRequested))
            assert (order.sync, order.suspended) == ("apps", wanted)
            assert (order.cause.user, order.cause.message) == ("a@example.com", "why")


async def test_a_sync_that_is_not_there_is_named_with_those_that_are() -> None:
    async with a_stage() as stage:
        for method, what in (("POST", "suspend"), ("POST", "resume"), ("GET", "diff")):
            status, error = await stage.send(method, f"{SYNCS}/other/{what}")
            assert status == 404
            assert "no sync other of this target; there are apps" in error["help"]


async def test_an_order_that_nobody_takes_names_who_should() -> None:
    async with a_stage(alive=[], unheard=0) as stage:
        _, job = await stage.send("POST", f"{SYNCS}/apps/suspend")
        assert "is cluster-applier running?" in (await stage.finished(job))["Err"]


async def test_what_holds_a_sync_is_shown_until_it_goes_on_and_outlives_the_gateway() -> None:
    async with a_stage() as stage:
        await suspended(stage)
        assert (await shown(stage))["held"] == "suspended by a"
        await stage.say(SyncHeld(sync="apps", target="default", reason=""))
        assert (await shown(stage))["held"] == ""


async def test_nobody_waits_for_a_suspended_sync() -> None:
    async with a_stage() as stage:
        stage.view.branches[REPOSITORY].push(NEW)
        assert (await stage.get("v6/sync", ref=NEW))[1] == [NEW]
        await suspended(stage)
        assert (await stage.get("v6/sync", ref=NEW))[1] == []


async def test_what_is_not_ready_is_shown_with_its_reason() -> None:
    unready = ObjectHealth(id="Pod shop/a", health="failed", message="it crashes")
    done = {"sync": "apps", "target": "default", "repository": REPOSITORY, "revision": OLD}
    async with a_stage() as stage:
        await stage.say(SyncCompleted(**done, healthy=False, unhealthy=(unready,)))
        found = await shown(stage)
    assert (found["healthy"], found["unhealthy"]) == (False, {"Pod shop/a": "it crashes"})


async def test_which_files_are_encrypted_is_shown() -> None:
    async with a_stage() as stage:
        assert (await shown(stage))["encrypted"] == []
        state = stage.view.declared["apps"]
        files = (EncryptedFile(file="secret.yaml"),)
        await stage.say(state.model_copy(update={"encrypted": files}))
        assert (await shown(stage))["encrypted"] == ["secret.yaml"]


async def test_a_comparison_is_passed_on_whole_and_its_failure_is_an_error() -> None:
    def unwilling(envelope: Envelope) -> Sequence[Message]:
        if isinstance(envelope.message, DiffQuestion):
            return [DiffMade(error="cluster default: away")]
        return willing(envelope)

    async with a_stage() as stage:
        status, found = await stage.get(f"{SYNCS}/apps/diff")
        assert (status, found["revision"], found["left_off"]) == (200, NEW, 1)
        assert found["objects"][0]["text"] == "-a\n+b"
    async with a_stage(answers=unwilling) as stage:
        status, error = await stage.get(f"{SYNCS}/apps/diff")
        assert status == 422
        assert "cluster default: away" in error["help"]
