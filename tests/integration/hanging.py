"""A webhook that never answers, on a real control plane."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.integration.applier_stage import Stage

HOOKS = "apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
NAME = "hangs.example.com"


@dataclass(slots=True)
class Hanging:
    """What it was asked."""

    met: int = 0


@asynccontextmanager
async def webhook_that_hangs(
    stage: Stage, resource: str = "secrets", operation: str = "*", **more: Any
) -> AsyncIterator[Hanging]:
    """Register a webhook for objects of our namespace, or of what *more* selects."""
    found = Hanging()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.met += 1
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": [resource]}
    hook = {
        "name": NAME,
        "clientConfig": {"url": f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"},
        "rules": [{**rule, "operations": [operation]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": stage.namespace}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
        "failurePolicy": "Fail",
        **more,
    }
    value = {"metadata": {"name": stage.namespace}, "webhooks": [hook]}
    status, said = await stage.kube.call("POST", HOOKS, value)
    assert status == 201, said
    try:
        yield found
    finally:
        await unregister(stage)
        server.close()


async def unregister(stage: Stage) -> None:
    """Take the webhook away."""
    await stage.kube.call("DELETE", f"{HOOKS}/{stage.namespace}")


async def wait_met(stage: Stage, path: str, probe: Any) -> None:
    """Wait until the API server has taken the webhook in, which takes it a while."""
    async with asyncio.timeout(30):
        while (await stage.kube.call("POST", path, probe, dryRun="All"))[0] == 201:
            await asyncio.sleep(0.1)
