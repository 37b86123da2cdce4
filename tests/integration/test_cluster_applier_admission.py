"""Quotas, policies and webhooks refuse single objects: on the real control plane."""

import asyncio
from typing import Any

import pytest

from services.cluster_applier.kube import REQUESTS
from shared.contract import Draft, SyncCompleted, SyncRequested
from tests.integration.applier_stage import Stage, applies, config_map
from tests.integration.hanging import NAME, unregister, wait_met, webhook_that_hangs

ADMISSION = "apis/admissionregistration.k8s.io/v1/validatingadmission"

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]


async def test_a_quota_spoils_only_what_is_beyond_it(stage: Stage) -> None:
    path = f"api/v1/namespaces/{stage.namespace}/resourcequotas"
    quota = {"metadata": {"name": "q"}, "spec": {"hard": {"secrets": "0"}}}
    await stage.kube.call("POST", path, quota)
    async with asyncio.timeout(30):
        while "status" not in (found := (await stage.kube.call("GET", f"{path}/q"))[1]) or (
            not found["status"].get("hard")
        ):
            await asyncio.sleep(0.05)
    secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"
    async with stage.applying():
        await stage.declare(config_map("a", k="1") + secret)
        done = await stage.completed()

    assert done.counts == {"created": 1, "failed": 1}
    assert "exceeded quota: q" in done.problems[0].message


async def refuse(stage: Stage, plural: str, operation: str, **validation: str) -> None:
    """Let a policy of admission refuse objects, and wait until one named `bad` is refused."""
    name = stage.namespace
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": [plural]}
    spec = {
        "matchConstraints": {"resourceRules": [{**rule, "operations": [operation]}]},
        "validations": [validation],
    }
    binding = {
        "policyName": name,
        "validationActions": ["Deny"],
        "matchResources": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}
        },
    }
    for kind, one in (("policies", spec), ("policybindings", binding)):
        made = {"metadata": {"name": name}, "spec": one}
        status, said = await stage.kube.call("POST", f"{ADMISSION}{kind}", made)
        assert status == 201, said
    path = f"api/v1/namespaces/{name}/{plural}"
    bad: Any = {"metadata": {"name": "bad"}}
    tried = ("POST", path, bad) if operation == "CREATE" else ("DELETE", f"{path}/bad", None)
    async with asyncio.timeout(30):  # the API server takes in a policy after a while
        while (await stage.kube.call(*tried, dryRun="All"))[0] < 300:
            await asyncio.sleep(0.1)


async def test_a_policy_of_admission_spoils_only_what_it_refuses(stage: Stage) -> None:
    rule = {"expression": "object.metadata.name != 'bad'", "message": "no bad ones"}
    await refuse(stage, "configmaps", "CREATE", **rule)
    async with stage.applying():
        await stage.declare(config_map("a", k="1") + config_map("bad", k="1"))
        done = await stage.completed()

        assert done.counts == {"created": 1, "failed": 1}
        assert "no bad ones" in done.problems[0].message
        # It is the policy that has to change, or the object.
        await stage.kube.call("DELETE", f"{ADMISSION}policybindings/{stage.namespace}")
        async with asyncio.timeout(30):
            while not await stage.kube.get("ConfigMap", "bad", stage.namespace):
                await stage.bus.publish(Draft(message=SyncRequested(sync="apps", reason="tick")))
                await asyncio.sleep(0.5)


BAD = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: bad}\nstringData: {p: canary-4c7}\n"


QUOTED = "'it is ' + (has(O.data) ? string(O.data['p']) : '')"


@pytest.mark.parametrize("operation", ["CREATE", "DELETE"])
async def test_a_policy_that_quotes_a_secret_tells_nobody_its_value(
    stage: Stage, operation: str, capfd: pytest.CaptureFixture[str]
) -> None:
    one = "object" if operation == "CREATE" else "oldObject"
    rule = {
        "expression": f"{one}.metadata.name != 'bad'",
        "messageExpression": QUOTED.replace("O", one),
        "reason": "Forbidden",
    }
    kept = config_map("a", k="1") + config_map("b", k="1")
    async with stage.applying():
        if operation == "DELETE":
            await stage.declare(kept + BAD)
            await stage.completed()
        await refuse(stage, "secrets", operation, **rule)
        await stage.declare(kept + (BAD if operation == "CREATE" else ""))
        done = await stage.completed()
        assert done.counts.get("failed") == 1, done
        said = f"ValidatingAdmissionPolicy '{stage.namespace}' with binding"
        assert said in done.problems[0].message
    everything = "".join(one.model_dump_json() for one in (done, *stage.told))
    for secret in ("canary-4c7", "Y2FuYXJ5LTRjNw"):
        assert secret not in everything
        assert secret not in "".join(capfd.readouterr())


def secrets(count: int) -> str:
    return "".join(
        f"---\napiVersion: v1\nkind: Secret\nmetadata: {{name: s{n}}}\n" for n in range(count)
    )


def deletions() -> float:
    return REQUESTS.labels("default", "delete")._value.get()


async def test_a_webhook_that_hangs_is_met_once_a_round_and_holds_up_nothing_else(
    stage: Stage,
) -> None:
    async with webhook_that_hangs(stage), stage.applying():
        path = f"api/v1/namespaces/{stage.namespace}/secrets"
        await wait_met(stage, path, {"metadata": {"name": "probe"}})
        before = applies()
        await stage.declare(config_map("a", k="1") + secrets(300))
        done = await stage.completed()

        assert done.counts == {"created": 1, "failed": 300}
        assert applies() - before == 1 + 1
        messages = {one.message.partition(": ")[2] for one in done.problems}
        assert len(messages) == 2
        assert all(NAME in one for one in messages)
        again = await stage.wait(SyncCompleted)
        assert again.counts == {"unchanged": 1, "failed": 300}
        assert applies() - before == 1 + 1 + 1
        await unregister(stage)
        await stage.wait(SyncCompleted, lambda one: one.counts.get("created", 0) >= 299)


async def test_a_webhook_that_hangs_for_deletions_is_met_once(stage: Stage) -> None:
    async with stage.applying():
        await stage.declare(config_map("a", k="1") + secrets(40) + config_map("b", k="1"))
        await stage.completed()
        async with webhook_that_hangs(stage, operation="DELETE"):
            path = f"api/v1/namespaces/{stage.namespace}/secrets"
            async with asyncio.timeout(30):
                while (await stage.kube.call("DELETE", f"{path}/s0", dryRun="All"))[0] == 200:
                    await asyncio.sleep(0.1)
            before = deletions()
            await stage.declare(config_map("a", k="1") + secrets(20))
            done = await stage.completed()
            assert done.counts["failed"] == 20
            assert deletions() - before == 1 + 1, "the other config map, and one secret"
        await stage.wait(SyncCompleted, lambda one: one.counts.get("deleted", 0) >= 19)
