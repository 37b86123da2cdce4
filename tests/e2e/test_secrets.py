"""A Secret on its way from git to the cluster: nobody between them can read it."""

import base64
import zlib

import pytest

from sandbox.world import World
from shared.bundle.store import Shelf
from shared.bus import rabbit

pytestmark = [pytest.mark.e2e, pytest.mark.rabbit, pytest.mark.cluster, pytest.mark.timeout(240)]

CANARY = "canary-8d21b7"
SECRET = """\
apiVersion: v1
kind: Secret
metadata: {{name: login, namespace: {namespace}}}
stringData: {{password: {value}}}
"""


async def test_a_secret_reaches_the_cluster_and_is_sealed_in_the_broker(world: World) -> None:
    text = SECRET.format(namespace=world.namespace, value=CANARY)
    await world.push("Add a login", {"login.yaml": text})
    wanted = base64.b64encode(CANARY.encode()).decode()
    await world.kube.wait(
        "Secret",
        "login",
        lambda found: found is not None and found["data"] == {"password": wanted},
        namespace=world.namespace,
    )

    async with rabbit.connect(world.flux.amqp_url, source="/test", prefetch=10) as bus:
        bundle = await Shelf(bus, "default", "apps").newest()
    assert bundle is not None
    assert [one.id for one in bundle.objects if one.sealed] == [f"Secret {world.namespace}/login"]
    for chunk in bundle.chunks:
        content = zlib.decompress(chunk.record[: chunk.start]) + chunk.opened()
        assert CANARY.encode() not in content
        assert wanted.encode() not in content
    logs = "".join(world.flux.log(name).read_text() for name in world.flux.children)
    assert CANARY not in logs
    assert wanted not in logs
