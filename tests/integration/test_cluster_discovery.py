"""APIs that have gone, or whose discovery fails: what they hold is kept, and it is told."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest

from shared.contract import DriftCorrected, SyncCompleted
from tests.integration.applier_stage import DEFINITIONS, Stage, config_map, definition_of

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

SERVICES = "apis/apiregistration.k8s.io/v1/apiservices"


def custom(group: str, version: str, name: str) -> str:
    return f"---\napiVersion: {group}/{version}\nkind: Thing\nmetadata: {{name: {name}}}\n"


async def test_a_group_whose_server_is_away_stops_no_other_and_is_told(stage: Stage) -> None:
    group = f"{uuid4().hex[:6]}.example.com"
    service: dict[str, Any] = {
        "metadata": {"name": f"v1.{group}"},
        "spec": {
            "group": group,
            "version": "v1",
            "insecureSkipTLSVerify": True,
            "groupPriorityMinimum": 100,
            "versionPriority": 10,
            "service": {"namespace": stage.namespace, "name": "nobody"},
        },
    }
    status, said = await stage.kube.call("POST", SERVICES, service)
    assert status == 201, said
    try:
        async with stage.applying():
            await stage.declare(config_map("a", k="1") + custom(group, "v1", "x"))
            done = await stage.completed()
            assert done.counts == {"created": 1, "failed": 1}
            assert f"serves no {group}/v1 Thing that can be applied; tried again" in (
                done.problems[0].message
            )
            await stage.declare(config_map("b", k="1") + custom(group, "v1", "x"))
            done = await stage.completed()
            assert (done.counts["created"], done.pruned) == (1, False)
            assert await stage.data("a") == {"k": "1"}, "nothing goes while a part is not applied"
    finally:
        await stage.kube.call("DELETE", f"{SERVICES}/v1.{group}")


async def test_an_object_whose_version_is_served_no_more_is_kept_and_goes_when_git_says_so(
    stage: Stage,
) -> None:
    group = f"{uuid4().hex[:6]}.example.com"
    path = await stage.define(group, "Thing")
    both = config_map("a", k="1") + custom(group, "v1alpha1", "x")
    async with stage.applying():
        await stage.declare(both)
        assert (await stage.completed()).counts == {"created": 2}
        new = definition_of(group, "Thing")["spec"]["versions"][0]
        old = {**new, "served": False, "storage": False}
        versions = {"spec": {"versions": [{**new, "name": "v1"}, old]}}
        merge = "application/merge-patch+json"
        await stage.kube.call("PATCH", f"{DEFINITIONS}/things.{group}", versions, merge)
        labelled = both.replace("{name: x}", "{name: x, labels: {a: b}}")
        await stage.declare(labelled.replace('k: "1"', 'k: "3"'))
        done = await stage.completed()
        assert done.counts == {"configured": 1, "failed": 1}
        assert f"serves no {group}/v1alpha1 Thing" in done.problems[0].message
        now = path.replace("v1alpha1", "v1")
        assert (await stage.kube.call("GET", f"{now}/x"))[0] == 200
        await stage.declare(config_map("a", k="3"))
        assert (await stage.completed()).counts == {"deleted": 1, "unchanged": 1}
        assert (await stage.kube.call("GET", f"{now}/x"))[0] == 404


async def test_objects_of_a_definition_that_somebody_deleted_are_told_and_others_go_on(
    stage: Stage,
) -> None:
    group = f"{uuid4().hex[:6]}.example.com"
    await stage.define(group, "Thing")
    async with stage.applying():
        both = config_map("a", k="1") + custom(group, "v1alpha1", "x")
        await stage.declare(both)
        assert (await stage.completed()).counts == {"created": 2}
        await stage.kube.call("DELETE", f"{DEFINITIONS}/things.{group}")
        await stage.declare(both.replace('k: "1"', 'k: "2"'))
        await stage.wait(SyncCompleted, lambda one: one.counts.get("failed") == 1)
        await stage.wait_data("a", {"k": "2"})


async def test_what_others_have_of_a_kind_that_came_later_keeps_what_it_is_in(
    stage: Stage,
) -> None:
    name, group = f"{stage.namespace}-own", f"{stage.namespace}.example.com"
    namespace = f"---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n"
    definition = f"---\n{json.dumps(definition_of(group, 'Gear'))}\n"
    kept = config_map("a", k="1") + config_map("b", k="1")
    async with stage.applying():
        await stage.declare(kept)
        await stage.completed()
        await stage.declare(kept + definition + namespace)
        await stage.completed()
        base = await stage.define(f"by.others.{group}", "Thing")
        theirs = {"apiVersion": f"by.others.{group}/v1alpha1", "kind": "Thing"}
        path = base.replace(stage.namespace + "/", name + "/")
        await create(stage, path, theirs)
        path = f"apis/{group}/v1alpha1/namespaces/{stage.namespace}/gears"
        await create(stage, path, {"apiVersion": f"{group}/v1alpha1", "kind": "Gear"})
        await stage.declare(kept)
        done = await stage.completed()
    assert done.counts == {"unchanged": 2, "skipped": 2}
    said = sorted(one.message.partition("; ")[0].rpartition(": ")[2] for one in done.objects)
    assert said == [
        f"by.others.{group}/Thing {name}/theirs",
        f"{group}/Gear {stage.namespace}/theirs",
    ]


async def create(stage: Stage, path: str, value: dict[str, Any]) -> None:
    found = await stage.kube.call("POST", path, {**value, "metadata": {"name": "theirs"}})
    assert found[0] == 201, found


def event(version: str, about: str, said: str) -> str:
    return f"""---
apiVersion: {version}
kind: Event
metadata: {{name: e}}
{about}: {{kind: Pod, name: x, namespace: NAMESPACE}}
reason: r
{said}: hello
type: Normal
"""


async def test_a_kind_that_moves_to_another_group_is_the_same_object_after(stage: Stage) -> None:
    old, new = (
        event(*one).replace("NAMESPACE", stage.namespace)
        for one in (("v1", "involvedObject", "message"), ("events.k8s.io/v1", "regarding", "note"))
    )
    path = f"api/v1/namespaces/{stage.namespace}/events/e"
    async with stage.applying():
        # Without an inventory it is found by its mark, in both groups: it is one.
        await stage.declare(old + config_map("a", k="1"))
        assert (await stage.completed()).counts == {"created": 2}
        uid = (await stage.kube.call("GET", path))[1]["metadata"]["uid"]
        await stage.declare(new + config_map("a", k="1"))
        done = await stage.completed()
        assert done.counts == {"configured": 1, "skipped": 1, "unchanged": 1}
        assert done.objects[1].message.startswith("it is the same object as events.k8s.io/Event")
        assert (await stage.kube.call("GET", path))[1]["metadata"]["uid"] == uid
        await stage.kube.merge("ConfigMap", "a", {"data": {"k": "x"}}, stage.namespace)
        await stage.wait_data("a", {"k": "1"})
        await stage.declare(config_map("a", k="1"))
        assert (await stage.completed()).counts == {"deleted": 1, "unchanged": 1}
        assert (await stage.kube.call("GET", path))[0] == 404


async def test_a_version_that_is_served_no_more_makes_nothing_look_deleted(stage: Stage) -> None:
    group = f"{uuid4().hex[:6]}.example.com"
    path = await stage.define(group, "Thing")
    old = definition_of(group, "Thing")["spec"]["versions"][0]
    new = {**old, "name": "v1", "storage": False}

    async def serve(*versions: dict[str, Any]) -> None:
        change, merge = {"spec": {"versions": versions}}, "application/merge-patch+json"
        found = await stage.kube.call("PATCH", f"{DEFINITIONS}/things.{group}", change, merge)
        assert found[0] == 200, found

    async with stage.applying():
        await stage.declare(custom(group, "v1alpha1", "x"))
        await stage.completed()
        await serve(old, new)
        await stage.declare(custom(group, "v1", "x") + config_map("a", k="1"))
        async with asyncio.timeout(30):
            while (await stage.completed()).counts.get("failed"):  # until discovery tells it
                await asyncio.sleep(0.05)
        await serve({**old, "served": False, "storage": False}, {**new, "storage": True})
        done = await stage.wait(SyncCompleted, lambda one: "configured" in one.counts)
        assert done.counts == {"configured": 1, "unchanged": 1}
        assert not [one for one in stage.told if isinstance(one, DriftCorrected)]
        now = f"{path.replace('v1alpha1', 'v1')}/x"
        assert (await stage.kube.call("DELETE", now))[0] == 200
        corrected = await stage.wait(DriftCorrected)
        assert (corrected.what, corrected.id) == ("deleted", f"{group}/Thing {stage.namespace}/x")
        assert (await stage.kube.call("GET", now))[0] == 200
