"""With the role of `k8s/` all works; without one verb of one rule the message names it."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.cluster import Cluster
from shared.contract import DependencyDown, DriftCorrected, SyncCompleted, SyncFailed
from tests.integration.accounts import WORKLOAD, account, allow, said_by, token_config
from tests.integration.applier_stage import Stage, config_map, configured, staged
from tests.integration.hanging import wait_met, webhook_that_hangs

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]

MANIFEST = Path(__file__).parents[2] / "k8s/base/rbac.yaml"


def roles() -> dict[str, list[Any]]:
    """Return the rules of the ClusterRole and of the Role."""
    found = yaml.safe_load_all(MANIFEST.read_text())
    return {one["kind"]: one["rules"] for one in found if one["kind"].endswith("Role")}


def verbs() -> Iterator[tuple[str, int, str]]:
    for kind, rules in roles().items():
        for number, rule in enumerate(rules):
            yield from ((kind, number, verb) for verb in rule["verbs"])


def without(kind: str, number: int, verb: str) -> dict[str, list[Any]]:
    """Return the rules less one verb; a rule must have one."""
    rules = deepcopy(roles())
    rules[kind][number]["verbs"].remove(verb)
    rules[kind] = [rule for rule in rules[kind] if rule["verbs"]]
    return rules


ROLE = """---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reads}
rules: [{apiGroups: [rbac.authorization.k8s.io], resources: [roles], verbs: [update]}]
"""
"""It can only be made by who may do the same."""
KEPT = "".join(config_map(name, k="1") for name in "abcdef")


async def whole_life(stage: Stage) -> Any:
    """Create, change, put back and prune, of a kind of each rule; return what was told first."""
    await stage.declare(KEPT + WORKLOAD + ROLE)
    told = await stage.wait((SyncCompleted, SyncFailed))  # type: ignore[arg-type]
    await stage.kube.delete("ConfigMap", "a", stage.namespace)
    await stage.declare(KEPT.replace('"1"', '"2"'))
    return told


@pytest.mark.parametrize(("kind", "number", "verb"), list(verbs()))
async def test_without_any_verb_of_any_rule_the_message_names_it(
    place: Cluster, tmp_path: Path, kind: str, number: int, verb: str
) -> None:
    rules = without(kind, number, verb)
    async with staged(place, tmp_path) as stage, AsyncExitStack() as hanging:
        await granted(stage, tmp_path, rules)
        async with stage.applying():
            rule = roles()[kind][number]
            if "admissionregistration.k8s.io" in rule["apiGroups"]:  # asked when a webhook hangs
                webhook = webhook_that_hangs(stage, "configmaps")
                await hanging.enter_async_context(webhook)
                path = f"api/v1/namespaces/{stage.namespace}/configmaps"
                await wait_met(stage, path, {"metadata": {"name": "probe"}})
            first = await whole_life(stage)
            async with asyncio.timeout(30):
                while not any(names(said_by(one), rule, verb) for one in (first, *stage.told)):
                    await asyncio.sleep(0.02)


async def test_with_the_role_all_works(place: Cluster, tmp_path: Path) -> None:
    async with staged(place, tmp_path) as stage:
        await granted(stage, tmp_path, roles())
        async with stage.applying():
            await whole_life(stage)
            done = await stage.completed()
            # What was deleted is back at once, or with the revision that comes just then.
            assert "failed" not in done.counts
            assert (sum(done.counts.values()), done.counts["deleted"]) == (8, 2)
            await stage.kube.merge("ConfigMap", "a", {"data": {"k": "x"}}, stage.namespace)
            await stage.wait(DriftCorrected, lambda one: one.what == "changed")
        assert not [one for one in stage.told if isinstance(one, SyncFailed | DependencyDown)]


def names(said: str, rule: Any, verb: str) -> bool:
    """Tell whether a message names the verb, and a resource that the rule is about."""
    if "leases" in rule["resources"]:
        return verb in said and "leases" in said
    groups = [f'in API group "{one}"' for one in rule["apiGroups"]]
    lacks = f"cannot {verb} resource" in said and any(one in said for one in groups)
    return lacks or f'Resources:["roles"], Verbs:["{verb}"]' in said


async def granted(stage: Stage, directory: Path, rules: dict[str, list[Any]]) -> None:
    """Let the applier of *stage* do what *rules* say, and have what KEDA has defined."""
    await stage.define("keda.sh", "ScaledObject")
    flux = f"{stage.namespace}-flux"
    await stage.kube.call("POST", "api/v1/namespaces", {"metadata": {"name": flux}})
    await account(stage, "applier")
    await allow(stage, "applier", rules["ClusterRole"])
    await allow(stage, "applier", rules["Role"], namespace=flux)
    kubeconfig = await token_config(stage, "applier", directory)
    stage.config = configured(kubeconfig, directory, stage.namespace)
