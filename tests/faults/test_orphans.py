"""What an applier that died had just made is not forgotten: it goes when git drops it."""

import pytest

from sandbox.world import World
from shared.runtime.faults import VARIABLE
from tests.faults.test_replicas import config_map, wait_value

pytestmark = [
    *(pytest.mark.e2e, pytest.mark.rabbit, pytest.mark.cluster, pytest.mark.faults),
    pytest.mark.timeout(240),
]


async def test_what_was_made_just_before_a_crash_is_pruned_when_git_drops_it(world: World) -> None:
    await world.push("Begin", config_map(world, 0, "a"))
    await wait_value(world, "a", 0, timeout=60)
    await world.flux.stop("cluster-applier")
    await world.flux.start("cluster-applier", env={VARIABLE: "apply.after=crash"})
    await world.push("Add b", config_map(world, 0, "b"))
    await world.flux.children["cluster-applier"].wait()
    assert await world.kube.get("ConfigMap", "b", world.namespace)
    await world.push("Drop b", config_map(world, 1, "a"), remove=["b.yaml"])
    await world.flux.kill("cluster-applier")
    await world.flux.start("cluster-applier")
    await wait_value(world, "a", 1, timeout=60)
    await world.kube.wait(
        "ConfigMap", "b", lambda found: found is None, namespace=world.namespace, timeout=60
    )
