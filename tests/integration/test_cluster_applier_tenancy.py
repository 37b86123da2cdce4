"""Whose sync may do what, and as whom: on the real control plane."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.cluster import Cluster
from services.cluster_applier.kube import kube
from shared.config.target import Target
from shared.contract import SyncCompleted, SyncFailed
from shared.runtime.errors import TemporaryError
from tests.integration.accounts import RBAC, WORKLOAD, grant, post, said_by, token_config
from tests.integration.applier_stage import config_map, configured, staged

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]


def moved(text: str, name: str, namespace: str) -> str:
    return text.replace(f"{{name: {name}}}", f"{{name: {name}, namespace: {namespace}}}")


async def test_a_sync_applies_to_its_namespaces_only_and_deletes_elsewhere_nothing(
    place: Cluster, tmp_path: Path
) -> None:
    async with staged(place, tmp_path, namespaces=["{}"]) as stage:
        name = stage.namespace
        role = f"---\napiVersion: {RBAC.removeprefix('apis/')}\nkind: ClusterRole\n"
        role += f"metadata: {{name: {name}}}\nrules: []\n"
        other = f"---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}-x}}\n"
        there = moved(config_map("b", k="1"), "b", "default")
        async with stage.applying():
            await stage.declare(config_map("a", k="1") + role + other + there)
            done = await stage.completed()

        assert done.counts == {"created": 2, "failed": 2}
        said = f"its namespace is not among those of the sync: {stage.namespace}"
        assert all(said in one.message for one in done.problems)
        assert await stage.kube.get("ConfigMap", "b", "default") is None
        assert await stage.kube.get("Namespace", f"{stage.namespace}-x") is None


async def test_what_left_the_namespaces_of_its_sync_is_not_pruned(
    place: Cluster, tmp_path: Path
) -> None:
    async with staged(place, tmp_path) as stage:
        async with stage.applying():
            await stage.declare(config_map("a", k="1") + config_map("b", k="1"))
            await stage.completed()
        stage.config = configured(
            place.kubeconfig, tmp_path, stage.namespace, namespaces=["default"]
        )
        async with stage.applying():
            await stage.declare(moved(config_map("c", k="1"), "c", "default"))
            await stage.completed()

        assert await stage.data("a") == {"k": "1"}
        assert await stage.data("b") == {"k": "1"}


async def test_a_teams_sync_can_do_what_the_team_may_and_no_more(
    place: Cluster, tmp_path: Path
) -> None:
    async with staged(place, tmp_path, service_account="{}/team") as stage:
        verbs = ["get", "create", "patch", "delete"]
        rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs}]
        await grant(stage, "team", rules)
        secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"
        foreign = moved(config_map("b", k="1"), "b", "default")
        async with stage.applying():
            await stage.declare(config_map("a", k="1") + config_map("gone", k="1"))
            assert (await stage.completed()).counts == {"created": 2}
            await stage.declare(config_map("a", k="2"))
            assert (await stage.completed()).counts == {"configured": 1, "deleted": 1}
            await stage.declare(config_map("a", k="2") + secret + foreign)
            done = await stage.completed()
            # Another sync of the same target acts as Flux itself.
            await stage.declare(secret.replace("name: s", "name: t"), sync="other")
            assert (await stage.completed()).counts == {"created": 1}

        assert done.counts == {"unchanged": 1, "failed": 2}
        user = f'User "system:serviceaccount:{stage.namespace}:team"'
        assert all(user in one.message for one in done.problems)
        assert any('cannot patch resource "secrets"' in one.message for one in done.problems)


VERBS = ("get", "list", "watch", "create", "update", "patch", "delete")
RESOURCES = ("configmaps", "namespaces", "deployments", "serviceaccounts")


def all_but(verb: str, resource: str) -> list[Any]:
    others = ("statefulsets", "daemonsets", "cronjobs", "horizontalpodautoscalers", "leases")
    every = {*others, *RESOURCES}
    rules = []
    for one in sorted(every):
        verbs = [name for name in (*VERBS, "impersonate") if (name, one) != (verb, resource)]
        rules.append({"apiGroups": ["*"], "resources": [one], "verbs": verbs})
    return rules


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        ("create", "namespaces"),
        ("impersonate", "serviceaccounts"),
    ],
)
async def test_without_a_rule_the_message_names_verb_and_resource(
    place: Cluster, tmp_path: Path, verb: str, resource: str
) -> None:
    account = "{}/applier" if verb == "impersonate" else ""
    async with staged(place, tmp_path, service_account=account) as stage:
        await grant(stage, "applier", all_but(verb, resource), everywhere=True)
        kubeconfig = await token_config(stage, "applier", tmp_path)
        stage.config = configured(kubeconfig, tmp_path, stage.namespace, service_account=account)
        wanted = f'cannot {verb} resource "{resource}"'
        if account:
            wanted = "the verb impersonate of serviceaccounts"
        async with stage.applying():
            await stage.declare(config_map("a", k="1") + config_map("b", k="1") + WORKLOAD)
            await stage.wait((SyncCompleted, SyncFailed))  # type: ignore[arg-type]
            await stage.declare(config_map("a", k="2") + WORKLOAD)
            async with asyncio.timeout(30):
                while not any(wanted in said_by(one) for one in stage.told):
                    await asyncio.sleep(0.02)


async def test_flux_itself_needs_only_to_impersonate_whom_a_sync_acts_as(
    place: Cluster, tmp_path: Path
) -> None:
    account = "{}/team"
    async with staged(place, tmp_path, service_account=account) as stage:
        verbs = ["get", "patch", "create"]
        await grant(
            stage, "team", [{"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs}]
        )
        await grant(stage, "applier", all_but("patch", "configmaps"), everywhere=True)
        kubeconfig = await token_config(stage, "applier", tmp_path)
        stage.config = configured(kubeconfig, tmp_path, stage.namespace, service_account=account)
        async with stage.applying():
            await stage.declare(config_map("a", k="1"))
            assert (await stage.completed()).counts == {"created": 1}


async def test_a_target_is_reached_by_a_kubeconfig_in_a_secret_that_runs_and_reads_nothing(
    place: Cluster, tmp_path: Path
) -> None:
    async with staged(place, tmp_path) as stage:
        content = place.kubeconfig.read_text()
        unsafe = json.dumps({"users": [{"user": {"exec": {"command": "id"}, "tokenFile": "/x"}}]})
        path = f"api/v1/namespaces/{stage.namespace}/secrets"
        for name, text in (("good", content), ("unsafe", unsafe), ("bad", "[")):
            data = {"value": base64.b64encode(text.encode()).decode()}
            await post(stage, path, {"metadata": {"name": name}, "data": data})

        def target(secret: str) -> Target:
            named = {"name": secret, "namespace": stage.namespace}
            value = {"kubeconfig": str(place.kubeconfig), "kubeconfig_secret": named}
            return Target.model_validate(value)

        async with kube(target("good")) as api:
            assert (await api.get(f"/api/v1/namespaces/{stage.namespace}")).ok
        for secret, said in (
            ("unsafe", "users may not use exec, tokenFile"),
            ("bad", "it holds no kubeconfig"),
            ("missing", 'secrets "missing" not found'),
        ):
            async with kube(target(secret)) as api:
                with pytest.raises(TemporaryError, match=said):
                    await api.alive()
