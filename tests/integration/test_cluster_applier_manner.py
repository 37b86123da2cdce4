"""How an object asks to be applied: on the real control plane."""

import json
from typing import Any

import pytest
import yaml

from shared.contract import DriftContested, DriftCorrected
from tests.integration.applier_stage import Stage, config_map

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]


def annotated(text: str, **annotations: str) -> str:
    pairs = ", ".join(f'fluxcd.io/{name}: "{value}"' for name, value in annotations.items())
    return text.replace("{name: a}", f"{{name: a, annotations: {{{pairs}}}}}")


def deployment(image: str = "1", *, replicas: int | None = None, app: str = "web") -> str:
    spec = f"  replicas: {replicas}\n" if replicas is not None else ""
    return f"""---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: a}}
spec:
{spec}  selector: {{matchLabels: {{app: {app}}}}}
  template:
    metadata: {{labels: {{app: {app}}}}}
    spec: {{containers: [{{name: web, image: "registry.example.com/web:{image}"}}]}}
"""


async def make(stage: Stage, name: str, **data: str) -> None:
    path = f"api/v1/namespaces/{stage.namespace}/configmaps"
    value = {"metadata": {"name": name}, "data": data}
    assert (await stage.kube.call("POST", path, value, fieldManager="someone"))[0] == 201


async def web(stage: Stage) -> Any:
    return await stage.kube.get("Deployment", "a", stage.namespace)


async def test_a_takeover_names_each_field_and_who_had_it(stage: Stage) -> None:
    await make(stage, "a", k="mine", other="kept")
    async with stage.applying():
        await stage.declare(config_map("a", k="1"))
        (result,) = (await stage.completed()).objects

    assert result.message == "taken over from others: .data.k (someone)"
    assert await stage.data("a") == {"k": "1", "other": "kept"}


async def test_merge_leaves_to_others_what_they_set_and_names_it(stage: Stage) -> None:
    await make(stage, "a", k="mine")
    merged = annotated(config_map("a", k="1", b="1", c="1", d="1", e="1"), ssa="merge")
    async with stage.applying():
        await stage.declare(merged)
        (result,) = (await stage.completed()).objects
        assert result.message == "left to others: .data.k (someone)"
        assert await stage.data("a") == {"k": "mine", **dict.fromkeys("bcde", "1")}
        for key in "bcd":
            await stage.kube.merge("ConfigMap", "a", {"data": {key: "mine"}}, stage.namespace)
            (result,) = (await stage.completed()).objects
            assert f".data.{key} (kubectl-edit)" in result.message
        assert not [one for one in stage.told if isinstance(one, DriftContested | DriftCorrected)]
        await stage.kube.merge("ConfigMap", "a", {"data": {"e": None}}, stage.namespace)
        assert (await stage.wait(DriftCorrected)).fields[0].field == ".data.e"
        await stage.declare(merged + config_map("b", k="1"))
        await stage.completed()
        assert await stage.data("a") == {**dict.fromkeys("kbcd", "mine"), "e": "1"}


async def test_merge_inside_lists_changes_what_is_left(stage: Stage) -> None:
    async with stage.applying():
        await stage.declare(annotated(deployment(replicas=0), ssa="merge"))
        await stage.completed()
        container = {"name": "web", "image": "registry.example.com/web:mine"}
        change = {"spec": {"template": {"spec": {"containers": [container]}}}}
        path = f"apis/apps/v1/namespaces/{stage.namespace}/deployments/a"
        kind = "application/strategic-merge-patch+json"
        await stage.kube.call("PATCH", path, change, kind, fieldManager="someone")
        await stage.declare(annotated(deployment(image="2", replicas=1), ssa="merge"))
        done = await stage.completed()

    field = '.spec.template.spec.containers[name="web"].image'
    assert done.objects[-1].message == f"left to others: {field} (someone)"
    found = await web(stage)
    assert found["spec"]["replicas"] == 1
    assert found["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":mine")


async def test_if_not_present_creates_and_never_changes(stage: Stage) -> None:
    await make(stage, "a", k="mine")
    once = annotated(config_map("a", k="1"), ssa="if-not-present")
    ours = once.replace("name: a,", "name: b,")
    async with stage.applying():
        await stage.declare(once + ours)
        assert (await stage.completed()).counts == {"created": 1, "skipped": 1}
        await stage.kube.merge("ConfigMap", "b", {"data": {"k": "x"}}, stage.namespace)
        await stage.declare(once + ours.replace('"1"', '"2"') + config_map("d", k="1"))
        assert (await stage.completed()).counts == {"created": 1, "skipped": 2}
        assert (await stage.data("a"), await stage.data("b")) == ({"k": "mine"}, {"k": "x"})
        await stage.kube.delete("ConfigMap", "b", stage.namespace)
        await stage.wait_data("b", {"k": "2"})
        await stage.declare(config_map("c", k="1") + config_map("d", k="1"))
        assert (await stage.completed()).counts["deleted"] == 1

    assert await stage.data("a") == {"k": "mine"}
    assert await stage.data("b") is None


async def test_ssa_ignore_is_ignore_and_a_word_unknown_is_told(stage: Stage) -> None:
    async with stage.applying():
        await stage.declare(config_map("a", k="1") + config_map("b", k="1"))
        await stage.completed()
        ignored = annotated(config_map("a", k="2"), ssa="ignore")
        await stage.declare(ignored + config_map("c", k="1"))
        assert (await stage.completed()).counts == {"created": 1, "deleted": 1}
        await stage.declare(annotated(config_map("a", k="3"), ssa="Merge") + config_map("d", k="1"))
        done = await stage.completed()

    assert (done.counts, done.pruned) == ({"created": 1}, False)
    assert await stage.data("a") == {"k": "1"}


async def test_force_deletes_and_creates_what_cannot_be_changed(stage: Stage) -> None:
    forced = annotated(deployment(replicas=0), force="enabled")
    async with stage.applying():
        await stage.declare(forced)
        await stage.completed()
        before = (await web(stage))["metadata"]["uid"]
        await stage.declare(annotated(deployment(replicas=0, app="other"), force="enabled"))
        (result,) = (await stage.completed()).objects
        assert (result.action, result.message.split(":")[0]) == (
            "created",
            "deleted and created anew",
        )
        found = await web(stage)
        assert found["metadata"]["uid"] != before
        assert found["spec"]["selector"] == {"matchLabels": {"app": "other"}}
        assert not [one for one in stage.told if isinstance(one, DriftCorrected | DriftContested)]


async def test_force_deletes_nothing_that_could_not_be_created_again(stage: Stage) -> None:
    async with stage.applying():
        await stage.declare(annotated(deployment(replicas=0), force="enabled"))
        await stage.completed()
        before = (await web(stage))["metadata"]["uid"]
        broken = deployment(replicas=-1, app="other")
        await stage.declare(annotated(broken, force="enabled"))
        done = await stage.completed()
        assert done.counts == {"failed": 1}
        _, _, too = done.problems[0].message.partition("one made anew would be refused, too: ")
        assert "must be greater than or equal to 0" in too

    assert (await web(stage))["metadata"]["uid"] == before


ALONE = {
    "v1 Service": (
        "spec: {type: NodePort, ports: [{port: 80, nodePort: 30199}]}",
        "spec: {type: NodePort, clusterIP: 10.96.77.77, ports: [{port: 80, nodePort: 30199}]}",
    ),
    "scheduling.k8s.io/v1 PriorityClass": (
        "{value: 1, globalDefault: true}",
        "{value: 2, globalDefault: true}",
    ),
}


@pytest.mark.parametrize("what", ALONE)
async def test_force_makes_anew_also_what_holds_something_that_one_alone_can_have(
    stage: Stage, what: str
) -> None:
    version, _, kind = what.partition(" ")

    def made(text: str) -> str:
        named = {"apiVersion": version, "kind": kind, "metadata": {"name": stage.namespace}}
        named["metadata"]["annotations"] = {"fluxcd.io/force": "enabled"}
        return f"{json.dumps({**named, **yaml.safe_load(text)})}\n" + config_map("b", k="1")

    before, after = ALONE[what]
    async with stage.applying():
        await stage.declare(made(before))
        await stage.completed()
        await stage.declare(made(after))
        done = await stage.completed()
        assert done.counts == {"created": 1, "unchanged": 1}
        assert done.objects[0].message.startswith("deleted and created anew")
        await stage.declare(config_map("b", k="1"))
        await stage.completed()


async def test_force_does_not_hold_for_what_holds_data(stage: Stage) -> None:
    claim = """---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: a}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""
    claim = annotated(claim, force="enabled")
    async with stage.applying():
        await stage.declare(claim)
        assert (await stage.completed()).counts == {"created": 1}
        await stage.declare(claim.replace("ReadWriteOnce", "ReadWriteMany"))
        done = await stage.completed()

    assert done.counts == {"failed": 1}
    said = "fluxcd.io/force does not hold for a PersistentVolumeClaim"
    assert said in done.problems[0].message
