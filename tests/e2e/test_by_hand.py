"""One sync by hand, through all processes: suspended, compared, resumed."""

import asyncio
import json

import pytest

from sandbox.kube import Object
from sandbox.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.rabbit, pytest.mark.cluster, pytest.mark.timeout(240)]


def settings(world: World, value: str) -> dict[str, str]:
    text = (
        "apiVersion: v1\nkind: ConfigMap\n"
        f"metadata: {{name: settings, namespace: {world.namespace}}}\ndata: {{a: {value}}}\n"
    )
    return {"settings.yaml": text}


def says(value: str):  # noqa: ANN201 - a predicate
    def fits(found: Object | None) -> bool:
        return found is not None and found["data"] == {"a": value}

    return fits


async def test_a_sync_rests_is_compared_and_goes_on(world: World) -> None:
    await world.push("Add settings", settings(world, "one"))
    await world.kube.wait("ConfigMap", "settings", says("one"), namespace=world.namespace)
    (sync,) = json.loads(await world.flux.fluxctl("syncs", "-o", "json"))
    name = sync["name"]
    await world.flux.fluxctl("suspend", name, "--user", "Flux", "-m", "maintenance")

    await world.push("Change settings", settings(world, "two"))
    head = await world.copy.head()
    async with asyncio.timeout(60):
        while True:
            (sync,) = json.loads(await world.flux.fluxctl("syncs", "-o", "json"))
            if sync["declared"] == head:
                break
            await asyncio.sleep(0.1)
    assert sync["held"] == "suspended by Flux: maintenance"
    printed = await world.flux.fluxctl("diff", name)
    assert f"configured ConfigMap {world.namespace}/settings (settings.yaml:1)" in printed
    assert "-  a: one\n+  a: two" in printed
    await world.flux.fluxctl("sync")  # does not wait for what rests
    found = await world.kube.get("ConfigMap", "settings", world.namespace)
    assert says("one")(found)

    await world.flux.fluxctl("resume", name, "--user", "Flux")
    await world.kube.wait("ConfigMap", "settings", says("two"), namespace=world.namespace)
    assert await world.flux.fluxctl("diff", name) == ""
