"""What cluster-applier takes over from others, and what it never deletes: on both clusters."""

import asyncio
import json
from typing import Any

import pytest

from shared.contract import DriftCorrected
from tests.integration.applier_stage import ON_BOTH, Stage, applies, config_map

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240), ON_BOTH]


def deployment(*, replicas: int | str | None = None, env: str = "", label: str = "") -> str:
    spec = f"  replicas: {replicas}\n" if replicas is not None else ""
    variables = f', env: [{{name: {env}, value: "1"}}]' if env else ""
    return f"""---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web{f", labels: {{{label}: x}}" if label else ""}}}
spec:
{spec}  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: web, image: "registry.example.com/web:1"{variables}}}]}}
"""


async def kubectl_apply(stage: Stage, **spec: Any) -> None:
    """Do what kubectl apply does to an object that is not there: create it, with its annotation."""
    container = {"name": "web", "image": "registry.example.com/web:0", **spec.pop("container", {})}
    value: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"old": "x"}},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [container]},
            },
            **spec,
        },
    }
    last = "kubectl.kubernetes.io/last-applied-configuration"
    value["metadata"]["annotations"] = {last: json.dumps(value)}
    path = f"apis/apps/v1/namespaces/{stage.namespace}/deployments"
    manager = "kubectl-client-side-apply"
    status, _ = await stage.kube.call("POST", path, value, fieldManager=manager)
    assert status == 201


async def web(stage: Stage) -> Any:
    return await stage.kube.get("Deployment", "web", stage.namespace)


async def scale(stage: Stage, replicas: int, manager: str = "autoscaler") -> None:
    path = f"apis/apps/v1/namespaces/{stage.namespace}/deployments/web/scale"
    status, _ = await stage.kube.call(
        "PATCH",
        path,
        {"spec": {"replicas": replicas}},
        "application/merge-patch+json",
        fieldManager=manager,
    )
    assert status == 200


async def test_what_kubectl_applied_goes_when_git_has_it_no_more(stage: Stage) -> None:
    old = {"env": [{"name": "OLD", "value": "1"}, {"name": "KEPT", "value": "1"}]}
    await kubectl_apply(stage, replicas=3, container=old)
    async with stage.applying():
        await stage.declare(deployment(replicas=3, env="KEPT"))
        assert (await stage.completed()).counts == {"configured": 1}

    found = await web(stage)
    (container,) = found["spec"]["template"]["spec"]["containers"]
    assert [one["name"] for one in container["env"]] == ["KEPT"]
    assert "old" not in found["metadata"]["labels"]
    assert "kubectl.kubernetes.io/last-applied-configuration" not in found["metadata"].get(
        "annotations", {}
    )


async def test_replicas_that_kubectl_set_and_git_does_not_stay_as_they_are(stage: Stage) -> None:
    await kubectl_apply(stage, replicas=5)
    async with stage.applying():
        await stage.declare(deployment())
        await stage.completed()
        assert (await web(stage))["spec"]["replicas"] == 5


async def test_replicas_that_leave_git_stay_as_they_are_and_come_back(stage: Stage) -> None:
    async with stage.applying():
        await stage.declare(deployment(replicas=4))
        await stage.completed()
        await stage.declare(deployment(label="new"))
        await stage.completed()
        found = await web(stage)
        assert (found["spec"]["replicas"], found["metadata"]["labels"]["new"]) == (4, "x")
        await scale(stage, 6)
        await stage.declare(deployment(replicas="", label="newer"))
        await stage.completed()
        assert (await web(stage))["spec"]["replicas"] == 6
        await stage.declare(deployment(replicas=2))
        await stage.completed()
        assert (await web(stage))["spec"]["replicas"] == 2
        await stage.declare(deployment(replicas="null"))
        await stage.completed()
        assert (await web(stage))["spec"]["replicas"] == 2


async def test_replicas_stay_also_where_the_inventory_is_lost(stage: Stage) -> None:
    async with stage.applying():
        await stage.declare(deployment(replicas=4))
        await stage.completed()
    await stage.kube.delete("ConfigMap", "flux-inventory-apps", f"{stage.namespace}-flux")
    async with stage.applying():
        await stage.declare(deployment(label="new"))
        await stage.completed()
        assert (await web(stage))["spec"]["replicas"] == 4


async def test_an_immutable_field_is_told_with_its_remedy_and_not_tried_again(
    stage: Stage,
) -> None:
    async with stage.applying():
        await stage.declare(deployment(replicas=0))
        await stage.completed()
        await stage.declare(deployment(replicas=0).replace("app: web", "app: other"))
        done = await stage.completed()
        assert done.counts == {"failed": 1}
        assert "immutable" in done.problems[0].message
        assert "annotate it with fluxcd.io/force: enabled" in done.problems[0].message
        before = applies()
        await stage.declare(deployment(replicas=0).replace("app: web", "app: other"))
        done = await stage.completed()
        assert applies() == before
        assert done.counts == {"failed": 1}
        await stage.kube.delete("Deployment", "web", stage.namespace)
        async with asyncio.timeout(30):
            while ((await web(stage)) or {}).get("spec", {}).get("selector") != {
                "matchLabels": {"app": "other"}
            }:
                await asyncio.sleep(0.01)


async def test_what_is_ignored_in_the_cluster_is_neither_applied_nor_pruned(stage: Stage) -> None:
    ignore = {"metadata": {"annotations": {"fluxcd.io/ignore": "true"}}}
    async with stage.applying():
        await stage.declare(config_map("a", k="1") + config_map("b", k="1"))
        await stage.completed()
        for name in "ab":
            await stage.kube.merge("ConfigMap", name, ignore, stage.namespace)
        await stage.kube.merge("ConfigMap", "a", {"data": {"k": "mine"}}, stage.namespace)
        await asyncio.sleep(0.3)
        await stage.declare(config_map("a", k="2") + config_map("c", k="1"))
        assert (await stage.completed()).counts == {"created": 1, "skipped": 2}
        assert await stage.data("a") == {"k": "mine"}
        assert await stage.data("b") == {"k": "1"}
        again = {"metadata": {"annotations": {"fluxcd.io/ignore": None}}}
        await stage.kube.merge("ConfigMap", "a", again, stage.namespace)
        await stage.wait_data("a", {"k": "2"})


async def test_what_somebody_made_and_ignores_is_not_overwritten_even_once(stage: Stage) -> None:
    value = {
        "metadata": {"name": "a", "annotations": {"fluxcd.io/ignore": "true"}},
        "data": {"k": "mine"},
    }
    other = {**value, "metadata": {**value["metadata"], "name": "b"}, "data": {"own": "mine"}}
    await stage.kube.call("POST", f"api/v1/namespaces/{stage.namespace}/configmaps", other)
    await stage.kube.call("POST", f"api/v1/namespaces/{stage.namespace}/configmaps", value)
    async with stage.applying():
        await stage.declare(config_map("a", k="1") + config_map("b", k="1"))
        assert (await stage.completed()).counts == {"skipped": 2}
        assert await stage.data("a") == {"k": "mine"}
        assert await stage.data("b") == {"own": "mine"}  # not even where nothing contradicts it


async def test_what_was_made_anew_or_has_an_owner_is_not_pruned(stage: Stage) -> None:
    async with stage.applying():
        await stage.declare("".join(config_map(name, k="1") for name in "abcdef"))
        await stage.completed()
        owner = await stage.kube.get("ConfigMap", "a", stage.namespace)
        assert owner is not None
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a"}
        references = [{**reference, "uid": owner["metadata"]["uid"]}]
        change = {"metadata": {"ownerReferences": references}}
        await stage.kube.merge("ConfigMap", "b", change, stage.namespace)
    await stage.kube.delete("ConfigMap", "c", stage.namespace)
    path = f"api/v1/namespaces/{stage.namespace}/configmaps"
    await stage.kube.call("POST", path, {"metadata": {"name": "c"}, "data": {"k": "theirs"}})
    async with stage.applying():
        await stage.declare("".join(config_map(name, k="1") for name in "aef"))
        done = await stage.completed()
    assert done.counts == {"unchanged": 3, "deleted": 1, "skipped": 2}
    assert await stage.data("b") == {"k": "1"}
    assert await stage.data("c") == {"k": "theirs"}
    assert await stage.data("d") is None


@pytest.mark.parametrize("first", ["old owner", "new owner"])
async def test_an_object_that_moves_to_another_sync_is_the_same_object_after(
    stage: Stage, first: str
) -> None:
    async with stage.applying():
        await stage.declare(config_map("a", k="1") + config_map("b", k="1"))
        await stage.completed()
        await stage.declare(config_map("c", k="1"), sync="other")
        await stage.completed()
        before = await stage.kube.get("ConfigMap", "a", stage.namespace)
        revision, height = "f" * 40, len(stage.revisions) + 1
        syncs = [
            ("apps", config_map("b", k="1")),
            ("other", config_map("a", k="1") + config_map("c", k="1")),
        ]
        for sync, text in syncs if first == "old owner" else reversed(syncs):
            ancestors = (revision, *reversed(stage.revisions))
            await stage.declare(
                text, sync=sync, revision=revision, height=height, ancestors=ancestors
            )
            await asyncio.sleep(0.2)
        stage.revisions.append(revision)
        for _ in "xx":
            assert not {"deleted", "failed"} & (await stage.completed()).counts.keys()
        after = await stage.kube.get("ConfigMap", "a", stage.namespace)
        assert before is not None
        assert after is not None
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        await stage.kube.delete("ConfigMap", "a", stage.namespace)
        await stage.wait_data("a", {"k": "1"})


async def test_a_namespace_is_not_pruned_while_it_holds_what_others_made(stage: Stage) -> None:
    name = f"{stage.namespace}-own"
    namespace = f"---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n"
    kept = config_map("kept", k="1") + config_map("too", k="1")
    inside = config_map("x", k="1").replace("{name: x}", f"{{name: x, namespace: {name}}}")
    async with stage.applying():
        await stage.declare(namespace + inside + kept)
        assert (await stage.completed()).counts == {"created": 4}
        path = f"api/v1/namespaces/{name}/configmaps"
        await stage.kube.call("POST", path, {"metadata": {"name": "theirs"}})
        await stage.declare(kept)
        done = await stage.completed()
        assert done.counts == {"deleted": 1, "skipped": 1, "unchanged": 2}
        (skipped,) = [one for one in done.objects if one.action == "skipped"]
        assert f"ConfigMap {name}/theirs" in skipped.message
        await stage.kube.delete("ConfigMap", "theirs", name)
        await stage.declare(kept)
        assert (await stage.completed()).counts == {"deleted": 1, "unchanged": 2}


async def test_flux_keeps_its_own_namespace_and_inventories(stage: Stage) -> None:
    flux = f"{stage.namespace}-flux"
    namespace = f"---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {flux}}}\n"
    mine = config_map("flux-inventory-apps", k="1").replace(
        "{name: flux-inventory-apps}", f"{{name: flux-inventory-apps, namespace: {flux}}}"
    )
    async with stage.applying():
        await stage.declare(namespace + mine + config_map("a", k="1"))
        done = await stage.completed()
        assert done.counts == {"configured": 1, "created": 1, "failed": 1}
        assert "Flux keeps an inventory under this name" in done.problems[0].message
        await stage.declare(config_map("a", k="1"))
        done = await stage.completed()
        assert done.counts.get("deleted") is None
        found = await stage.kube.get("Namespace", flux)
        assert found is not None
        assert found["status"]["phase"] == "Active"


async def test_a_write_that_nobody_remembers_is_found_by_the_next_process(stage: Stage) -> None:
    async with stage.applying():
        await stage.declare(config_map("a", k="1"))
        await stage.completed()
        inventory = await stage.inventory()
    await asyncio.sleep(1.1)  # managedFields tell times in seconds
    async with stage.applying():
        await stage.declare(config_map("a", k="2"))
        await stage.completed()
    # As if the process had died between the apply and the inventory, and git went back since.
    remembered = {"data": inventory["data"]}
    flux = f"{stage.namespace}-flux"
    await stage.kube.merge("ConfigMap", "flux-inventory-apps", remembered, flux)
    async with stage.applying():
        await stage.declare(config_map("a", k="1"), height=3)
        await stage.wait_data("a", {"k": "1"})


async def test_what_a_finalizer_holds_is_told_and_comes_back_when_git_has_it_again(
    stage: Stage,
) -> None:
    kept = config_map("b", k="1") + config_map("c", k="1")
    async with stage.applying():
        await stage.declare(kept + config_map("a", k="1"))
        await stage.completed()
        hold = {"metadata": {"finalizers": ["example.com/hold"]}}
        await stage.kube.merge("ConfigMap", "a", hold, stage.namespace)
        await stage.declare(kept)
        (gone,) = (await stage.completed()).objects
        assert gone.action == "deleted"
        assert gone.message == "it ends when its finalizers are done: example.com/hold"
        await stage.declare(kept + config_map("a", k="2"))
        assert (await stage.completed()).counts == {"configured": 1, "unchanged": 2}
        let_go = {"metadata": {"finalizers": None}}
        await stage.kube.merge("ConfigMap", "a", let_go, stage.namespace)
        assert (await stage.wait(DriftCorrected)).what == "deleted"
        await stage.wait_data("a", {"k": "2"})
        found = await stage.kube.get("ConfigMap", "a", stage.namespace)
        assert found is not None
        assert "deletionTimestamp" not in found["metadata"]
