"""A webhook that hangs holds up what it selects, and nothing else: on the real control plane."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sandbox.cluster import Cluster
from shared.contract import (
    DiffMade,
    DiffQuestion,
    Draft,
    SuspendRequested,
    SyncCompleted,
    SyncHeld,
)
from tests.integration.accounts import grant, token_config
from tests.integration.applier_stage import Stage, configured, staged
from tests.integration.hanging import (
    NAME,
    Hanging,
    wait_met,
    webhook_that_hangs,
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]

SELECTED = {"matchLabels": {"guarded": "yes"}}
COUNT = 40


def config_maps(*guarded: int, first: int = 0) -> str:
    """Declare up to `COUNT` of them, some with the label that is selected."""
    return "".join(
        f"---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c{n:02}\n"
        f"  labels: {{guarded: '{'yes' if n in guarded else 'no'}'}}\n"
        for n in range(first, COUNT)
    )


async def probed(stage: Stage, webhook: Hanging, namespace: str = "") -> None:
    """Wait until the API server asks *webhook*, and count from then on."""
    metadata = {"name": "probe", "labels": SELECTED["matchLabels"]}
    path = f"api/v1/namespaces/{namespace or stage.namespace}/configmaps"
    await wait_met(stage, path, {"metadata": metadata})
    webhook.met = 0


def held(done: SyncCompleted) -> set[str]:
    """Return why objects were not tried."""
    said = {one.message.partition(": ")[2] for one in done.problems}
    return {one for one in said if one.startswith("not tried")}


async def test_what_a_webhook_does_not_select_by_its_labels_is_applied_beside_the_one(
    stage: Stage,
) -> None:
    async with webhook_that_hangs(stage, "configmaps", objectSelector=SELECTED) as webhook:
        await probed(stage, webhook)
        async with stage.applying():
            await stage.declare(config_maps(0))
            done = await stage.completed()

            assert done.counts == {"created": COUNT - 1, "failed": 1}
            assert NAME in done.problems[0].message
            assert webhook.met == 1


async def test_of_those_that_come_later_no_more_meet_a_webhook_than_were_on_their_way(
    stage: Stage,
) -> None:
    guarded = range(COUNT // 2, COUNT)
    async with webhook_that_hangs(stage, "configmaps", objectSelector=SELECTED) as webhook:
        await probed(stage, webhook)
        async with stage.applying():
            await stage.declare(config_maps(*guarded))
            done = await stage.completed()

            assert done.counts == {"created": COUNT // 2, "failed": COUNT // 2}
            assert held(done) == {f"not tried: the webhook {NAME} does not answer"}
            met = webhook.met
            assert 1 <= met <= stage.config.targets[0].concurrency
            again = await stage.wait(SyncCompleted)
            assert again.counts == {"unchanged": COUNT // 2, "failed": COUNT // 2}
            assert webhook.met == met + 1
        assert await stage.kube.get("ConfigMap", "c00", stage.namespace)


async def test_a_comparison_by_hand_meets_it_once_and_shows_what_it_does_not_select(
    stage: Stage,
) -> None:
    async with webhook_that_hangs(stage, "configmaps", objectSelector=SELECTED) as webhook:
        await probed(stage, webhook)
        async with stage.applying():
            await stage.bus.publish(Draft(message=SuspendRequested(sync="apps")))
            await stage.wait(SyncHeld)
            await stage.declare(config_maps(*range(COUNT // 2)))
            made = await stage.bus.ask(DiffQuestion(sync="apps"), timeout=20)

            assert isinstance(made, DiffMade)
            assert Counter(one.action for one in made.objects) == {"created": 20, "failed": 20}
            assert all(NAME in one.text for one in made.objects if one.action == "failed")
            assert webhook.met == 1


async def test_a_webhook_of_one_namespace_holds_up_no_other(stage: Stage) -> None:
    other = f"{stage.namespace}-b"
    await stage.kube.call("POST", "api/v1/namespaces", {"metadata": {"name": other}})
    there = config_maps().replace("metadata:\n", f"metadata:\n  namespace: {other}\n")
    async with webhook_that_hangs(stage, "configmaps") as webhook:
        await probed(stage, webhook)
        async with stage.applying():
            await stage.declare(config_maps() + there)
            done = await stage.completed()

            assert done.counts == {"created": COUNT, "failed": COUNT}
            assert webhook.met == 1
        assert await stage.kube.get("ConfigMap", f"c{COUNT - 1}", other)


async def test_by_an_account_that_may_not_list_webhooks_all_of_the_kind_wait(
    place: Cluster, tmp_path: Path
) -> None:
    rules: list[Any] = [{"apiGroups": [""], "resources": ["*"], "verbs": ["*"]}]
    rules.append({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["*"]})
    async with (
        staged(place, tmp_path) as stage,
        webhook_that_hangs(stage, "configmaps", objectSelector=SELECTED) as webhook,
    ):
        await grant(stage, "applier", rules, everywhere=True)
        kubeconfig = await token_config(stage, "applier", tmp_path)
        stage.config = configured(kubeconfig, tmp_path, stage.namespace)
        await probed(stage, webhook)
        async with stage.applying():
            await stage.declare(config_maps(0))
            done = await stage.completed()

            assert done.counts == {"failed": COUNT}
            assert webhook.met == 1
            (said,) = held(done)
            for missing in ("cannot list resource", "mutatingwebhookconfigurations"):
                assert missing in said
            # Another one goes first then, so that those it does not select get their turn.
            await stage.wait(SyncCompleted, lambda one: one.counts["failed"] == 1)


async def test_labels_that_others_gave_an_object_count_beside_those_that_are_declared(
    stage: Stage,
) -> None:
    path = f"api/v1/namespaces/{stage.namespace}/configmaps"
    async with stage.applying():
        await stage.declare(config_maps())
        await stage.completed()
        for number in range(0, COUNT, 2):
            label = {"metadata": {"labels": {"added": "yes"}}}
            where = f"{path}/c{number:02}"
            await stage.kube.call("PATCH", where, label, "application/merge-patch+json")
        selector = {"matchLabels": {"added": "yes", "guarded": "new"}}
        async with webhook_that_hangs(stage, "configmaps", objectSelector=selector) as webhook:
            await wait_met(
                stage, path, {"metadata": {"name": "p", "labels": selector["matchLabels"]}}
            )
            webhook.met = 0
            await stage.declare(config_maps().replace("'no'", "'new'"))
            done = await stage.completed()

            assert done.counts == {"configured": COUNT // 2, "failed": COUNT // 2}
            assert webhook.met == 1


async def test_deletions_that_a_webhook_does_not_select_go_on(stage: Stage) -> None:
    async with stage.applying():
        await stage.declare(config_maps(0))
        await stage.completed()
        async with webhook_that_hangs(
            stage, "configmaps", "DELETE", objectSelector=SELECTED
        ) as webhook:
            path = f"api/v1/namespaces/{stage.namespace}/configmaps/c00"
            async with asyncio.timeout(30):
                while (await stage.kube.call("DELETE", path, dryRun="All"))[0] == 200:
                    await asyncio.sleep(0.1)
            webhook.met = 0
            await stage.declare(config_maps(first=15))
            done = await stage.completed()

            assert (done.counts["deleted"], done.counts["failed"]) == (14, 1)
            assert webhook.met == 1
