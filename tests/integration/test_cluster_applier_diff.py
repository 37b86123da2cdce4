"""What an apply would change, without changing it: on the real control plane."""

import json
from pathlib import Path

import pytest

from sandbox.cluster import Cluster
from shared.contract import DiffMade, DiffQuestion, Draft, ObjectDiff, SuspendRequested, SyncHeld
from tests.integration.applier_stage import Stage, config_map, definition_of, staged

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

GROUP = "things.example.com"


def secret(**data: str) -> str:
    lines = "".join(f"  {key}: {value}\n" for key, value in data.items())
    return f"---\napiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData:\n{lines}"


def deployment(app: str = "web", *, replicas: str = "", annotation: str = "") -> str:
    return f"""---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, annotations: {{note: x{annotation}}}}}
spec:
  {replicas}
  selector: {{matchLabels: {{app: {app}}}}}
  template:
    metadata: {{labels: {{app: {app}}}}}
    spec: {{containers: [{{name: web, image: "registry.example.com/web:1"}}]}}
"""


async def rest(stage: Stage) -> None:
    """Suspend the sync, so that nothing but a comparison looks at what is declared next."""
    await stage.bus.publish(Draft(message=SuspendRequested(sync="apps")))
    await stage.wait(SyncHeld)


async def diff(stage: Stage) -> dict[str, ObjectDiff]:
    made = await stage.bus.ask(DiffQuestion(sync="apps"), timeout=20)
    assert isinstance(made, DiffMade)
    assert made.error is None
    assert made.revision == stage.revisions[-1]
    return {one.id.removeprefix("apps/"): one for one in made.objects}


async def versions(stage: Stage) -> dict[str, str]:
    found = {}
    for kind in ("ConfigMap", "Secret", "Deployment"):
        for one in await stage.kube.list(kind, stage.namespace):
            found[f"{kind}/{one['metadata']['name']}"] = one["metadata"]["uid"]
            if kind != "Deployment":  # its status changes by itself
                found[f"{kind}/{one['metadata']['name']}"] += one["metadata"]["resourceVersion"]
    return found


async def test_what_would_come_change_and_go_is_shown_and_nothing_of_it_done(stage: Stage) -> None:
    async with stage.applying():
        await stage.declare(config_map("a", k="1") + config_map("gone", k="1"))
        await stage.completed()
        await rest(stage)
        await stage.declare(config_map("a", k="2") + config_map("new", k="1"))
        before = await versions(stage)
        found = await diff(stage)

        assert {name: one.action for name, one in found.items()} == {
            f"ConfigMap {stage.namespace}/a": "configured",
            f"ConfigMap {stage.namespace}/gone": "deleted",
            f"ConfigMap {stage.namespace}/new": "created",
        }
        changed = found[f"ConfigMap {stage.namespace}/a"]
        assert "-  k: '1'\n+  k: '2'" in changed.text
        assert (changed.file, changed.line) == ("a.yaml", 2)
        assert "resourceVersion" not in changed.text
        assert await versions(stage) == before


async def test_what_drifted_while_a_sync_rests_is_shown(stage: Stage) -> None:
    async with stage.applying():
        await stage.declare(config_map("a", k="1") + config_map("b", k="1"))
        await stage.completed()
        await rest(stage)
        assert await diff(stage) == {}
        await stage.kube.merge("ConfigMap", "a", {"data": {"k": "x"}}, stage.namespace)
        (found,) = (await diff(stage)).values()
        assert "-  k: x\n+  k: '1'" in found.text


async def test_values_of_secrets_are_nowhere_but_it_shows_which_change(stage: Stage) -> None:
    async with stage.applying():
        await stage.declare(secret(same="hunter1", old="hunter2", changed="hunter3"))
        await stage.completed()
        await rest(stage)
        await stage.declare(secret(same="hunter1", new="hunter4", changed="hunter5"))
        (found,) = (await diff(stage)).values()
        assert "   same: '***'\n" in f"{found.text}\n"
        assert "-  changed: '*** (before)'" in found.text
        assert "+  changed: '*** (after)'" in found.text
        assert "+  new: '*** (after)'" in found.text
        # A checksum of the whole would tell a short value to whoever guesses it.
        for value in ("hunter", "aHVudGVy", "checksum"):
            assert value not in found.model_dump_json()


async def test_a_comparison_goes_the_way_of_a_real_apply(stage: Stage) -> None:
    force = ', fluxcd.io/force: "enabled"'
    async with stage.applying():
        await stage.declare(deployment(replicas="replicas: 3") + config_map("a", k="1"))
        await stage.completed()
        await rest(stage)
        # Replicas that leave git stay; so they are no difference.
        await stage.declare(deployment(annotation="y") + config_map("a", k="1"))
        (found,) = (await diff(stage)).values()
        assert "+    note: xy" in found.text
        assert "replicas" not in "".join(
            line for line in found.text.splitlines() if line[:1] in {"+", "-"}
        )
        await stage.declare(deployment("other") + config_map("a", k="1"))
        (found,) = (await diff(stage)).values()
        assert found.action == "failed"
        assert "immutable" in found.text
        await stage.declare(deployment("other", annotation=force) + config_map("a", k="1"))
        (found,) = (await diff(stage)).values()
        assert found.text.startswith("it would be deleted and created anew\n")
        assert "+      app: other" in found.text


def placed(text: str, namespace: str) -> str:
    """Put an object into another namespace."""
    return text.replace("metadata: {", f"metadata: {{namespace: {namespace}, ")


async def test_what_comes_with_its_namespace_or_its_kind_is_shown_as_it_is_declared(
    place: Cluster, tmp_path: Path
) -> None:
    thing = "---\napiVersion: {}.example.com/v1alpha1\nkind: Thing\nmetadata: {{name: t}}\n"
    async with staged(place, tmp_path, namespaces=["{}", "{}-new"]) as stage, stage.applying():
        await stage.declare(config_map("a", k="1"))
        await stage.completed()
        await rest(stage)
        new = f"{stage.namespace}-new"
        definition = {"apiVersion": "apiextensions.k8s.io/v1", **definition_of(GROUP, "Thing")}
        await stage.declare(
            f"{config_map('a', k='1')}---\n{json.dumps(definition)}\n"
            f"---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {new}}}\n"
            + placed(config_map("b", k="1") + secret(p="hunter2"), new)
            + placed(config_map("c", k="1"), "default")
            + "".join(thing.format(one) for one in ("things", "nowhere"))
        )
        found = await diff(stage)
    assert {name: one.action for name, one in found.items()} == {
        f"Namespace {new}": "created",
        f"ConfigMap {new}/b": "created",
        f"Secret {new}/s": "created",
        f"apiextensions.k8s.io/CustomResourceDefinition things.{GROUP}": "created",
        f"{GROUP}/Thing t": "created",
        "nowhere.example.com/Thing t": "failed",
        "ConfigMap default/c": "failed",
    }
    assert "+  k: '1'" in found[f"ConfigMap {new}/b"].text
    assert "hunter2" not in found[f"Secret {new}/s"].text
    assert "serves no nowhere.example.com" in found["nowhere.example.com/Thing t"].text
    assert "not among those of the sync" in found["ConfigMap default/c"].text
