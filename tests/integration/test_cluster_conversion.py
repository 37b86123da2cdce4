"""Webhooks that convert or change objects: on the real control plane."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from services.cluster_applier.kube import REQUESTS
from shared.contract import Draft, DriftCorrected, SyncCompleted, SyncRequested
from tests.integration.answering import Answering, answering, converted, patched
from tests.integration.applier_stage import (
    DEFINITIONS,
    Stage,
    applies,
    config_map,
    definition_of,
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]

HOOKS = "apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
NOBODY = "https://127.0.0.1:9/"


class Widgets:
    """A kind of two versions, of which the one that is declared is not the one that is stored."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.group = f"{stage.namespace}.example.com"
        self.path = f"{DEFINITIONS}/widgets.{self.group}"

    async def define(self, webhook: Answering) -> None:
        value = definition_of(self.group, "Widget")
        (one,) = value["spec"]["versions"]
        value["spec"]["versions"] = [{**one, "name": "v1"}, {**one, "name": "v2", "storage": False}]
        hook = {"clientConfig": webhook.client, "conversionReviewVersions": ["v1"]}
        value["spec"]["conversion"] = {"strategy": "Webhook", "webhook": hook}
        status, said = await self.stage.kube.call("POST", DEFINITIONS, value)
        assert status == 201, said
        async with asyncio.timeout(30):
            while not await self._served():
                await asyncio.sleep(0.05)

    async def _served(self) -> bool:
        try:
            return (await self.stage.kube.call("GET", self._collection("v2")))[0] == 200
        except ValueError:
            return False

    def _collection(self, version: str) -> str:
        return f"apis/{self.group}/{version}/namespaces/{self.stage.namespace}/widgets"

    async def reach(self, url: str) -> None:
        """Let the API server look for the webhook there, and wait until it does."""
        found = (await self.stage.kube.call("GET", self.path))[1]
        found["spec"]["conversion"]["webhook"]["clientConfig"]["url"] = url
        assert (await self.stage.kube.call("PUT", self.path, found))[0] == 200
        probe = {"apiVersion": f"{self.group}/v2", "kind": "Widget", "metadata": {"name": "probe"}}
        wanted = 500 if url == NOBODY else 201
        async with asyncio.timeout(30):
            while (
                wanted
                != (
                    await self.stage.kube.call("POST", self._collection("v2"), probe, dryRun="All")
                )[0]
            ):
                await asyncio.sleep(0.05)

    def declared(self, numbers: Iterable[int], size: int) -> str:
        return "".join(
            f"---\napiVersion: {self.group}/v2\nkind: Widget\nmetadata: {{name: w{number:02}}}\n"
            f"spec: {{size: {size}}}\n"
            for number in numbers
        )

    async def sizes(self) -> list[int]:
        """Return those that are stored."""
        _, said = await self.stage.kube.call("GET", self._collection("v1"))
        return [one["spec"]["size"] for one in said["items"]]


def maps(count: int, **data: str) -> str:
    return "".join(config_map(f"c{number}", **data) for number in range(count))


async def test_a_kind_that_can_not_be_converted_waits_is_not_pruned_and_holds_up_no_other(
    stage: Stage, tmp_path: Path
) -> None:
    widgets = Widgets(stage)
    async with answering(tmp_path, converted) as webhook, stage.applying():
        await widgets.define(webhook)
        await stage.declare(maps(4, k="1") + widgets.declared(range(20), 1))
        assert (await stage.completed()).counts == {"created": 24}
        url = webhook.client["url"]
        await widgets.reach(NOBODY)
        before, watches = applies(), REQUESTS.labels("default", "watch")._value.get()
        await stage.declare(maps(3, k="2") + widgets.declared(range(15), 2))
        done = await stage.completed()

        assert done.counts == {"configured": 3, "failed": 15}
        assert applies() - before == 3 + 1, "one is enough"
        said = {one.message.partition(": ")[2] for one in done.problems}
        held = next(one for one in said if one.startswith("not tried"))
        assert len(said) == 2
        assert held.startswith("not tried: the webhook for conversion of")
        (told,) = said - {held}
        assert "connection refused" in told
        assert "see spec.conversion of the CustomResourceDefinition of Widget" in told
        # A full comparison takes nothing for gone that it could not read.
        await stage.bus.publish(Draft(message=SyncRequested(sync="apps", reason="person")))
        again = await stage.wait(SyncCompleted, lambda one: "unchanged" in one.counts)
        assert again.counts == {"unchanged": 3, "failed": 15}
        assert REQUESTS.labels("default", "watch")._value.get() - watches <= 5
        await widgets.reach(url)
        healed = await stage.wait(SyncCompleted, lambda one: one.counts.get("deleted"))
        assert healed.counts["deleted"] == 5 + 1
        assert await widgets.sizes() == [2] * 15


async def test_single_objects_that_can_not_be_converted_hold_up_no_others_of_their_kind(
    stage: Stage, tmp_path: Path
) -> None:
    def but_for_some(asked: Any) -> Any:
        if any(one["metadata"].get("name", "") < "w05" for one in asked["objects"]):
            return {"result": {"status": "Failed", "message": "no such size"}}
        return converted(asked)

    widgets = Widgets(stage)
    async with answering(tmp_path, converted) as webhook, stage.applying():
        await widgets.define(webhook)
        webhook.work = but_for_some
        await stage.declare(widgets.declared(range(20), 1))
        done = await stage.completed()
        assert "no such size" in done.problems[0].message
        await stage.wait(SyncCompleted, lambda one: one.counts.get("created") == 15)


async def test_what_a_webhook_makes_of_an_object_is_no_drift(stage: Stage, tmp_path: Path) -> None:
    def rewritten(asked: Any) -> Any:
        taken = [{"op": "remove", "path": "/data/taken"}] * ("taken" in asked["object"]["data"])
        written = {"ours": "by the webhook", "theirs": "x"}.items()
        added = ({"op": "add", "path": f"/data/{key}", "value": one} for key, one in written)
        return patched(*taken, *added)

    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
    ours = {"matchLabels": {"kubernetes.io/metadata.name": stage.namespace}}
    async with answering(tmp_path, rewritten) as webhook:
        hook = {
            "name": "rewrites.example.com",
            "clientConfig": webhook.client,
            "rules": [{**rule, "operations": ["CREATE", "UPDATE"]}],
            "objectSelector": {
                "matchExpressions": [{"key": "fluxcd.io/sync-gc-mark", "operator": "Exists"}]
            },
            "namespaceSelector": ours,
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        value = {"metadata": {"name": stage.namespace}, "webhooks": [hook]}
        assert (await stage.kube.call("POST", HOOKS, value))[0] == 201
        base = f"api/v1/namespaces/{stage.namespace}/configmaps"
        marked = {"name": "probe", "labels": {"fluxcd.io/sync-gc-mark": "x"}}
        probe = {"metadata": marked, "data": {"k": ""}}
        async with asyncio.timeout(30):  # the API server takes in a webhook after a while
            while (
                "theirs"
                not in (await stage.kube.call("POST", base, probe, dryRun="All"))[1]["data"]
            ):
                await asyncio.sleep(0.1)
        made = {"ours": "by the webhook", "theirs": "x"}
        async with stage.applying():
            text = config_map("a", k="1", ours="git", taken="git")
            await stage.declare(text)
            await stage.completed()
            for number in range(3):  # the webhook is asked about each of these, too
                change = {"metadata": {"annotations": {"touched": str(number)}}}
                await stage.kube.call("PATCH", f"{base}/a", change, "application/merge-patch+json")
                await stage.bus.publish(Draft(message=SyncRequested(sync="apps", reason="person")))
                done = await stage.wait(SyncCompleted)
                assert done.counts == {"unchanged": 1}
            assert not [one for one in stage.told if isinstance(one, DriftCorrected)]
            await stage.declare(text.replace('"1"', '"2"'))
            assert (await stage.completed()).counts == {"configured": 1}
            assert await stage.data("a") == {"k": "2", **made}
        await stage.kube.call("DELETE", f"{HOOKS}/{stage.namespace}")
