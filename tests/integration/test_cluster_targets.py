"""One applier, several clusters: the real control plane and an emulated one beside it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.cluster import Cluster, cluster
from sandbox.kube import kube
from sandbox.progress import silent
from shared.bus.memory import MemoryBroker
from shared.config.model import Config
from shared.contract import DependencyDown, DriftCorrected
from tests.integration.applier_stage import Stage, config_map, staged

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]


def both(first: Cluster, second: Cluster, directory: Path, namespace: str) -> Config:
    """Return a configuration of a sync for each of two clusters."""
    more = {"git": {"url": "u"}, "sync_interval": "1h"}
    syncs = [{"name": "apps", **more}, {"name": "other", "target": "second", **more}]
    targets = [
        {"name": name, "kubeconfig": str(one.kubeconfig), "namespace": f"{namespace}-flux"}
        for name, one in (("default", first), ("second", second))
    ]
    return Config.model_validate({"syncs": syncs, "targets": targets, "state_dir": str(directory)})


@asynccontextmanager
async def of_two(stage: Stage, second: Cluster, directory: Path) -> AsyncIterator[Stage]:
    """Yield *stage* with a second cluster."""
    async with AsyncExitStack() as stack:
        broker = MemoryBroker([("default", "apps"), ("second", "other")])
        bus = await stack.enter_async_context(broker.connect("/test"))
        config = both(stage.cluster, second, directory, stage.namespace)
        found = replace(stage, broker=broker, bus=bus, config=config, told=[])
        group = await stack.enter_async_context(asyncio.TaskGroup())
        listening = group.create_task(found.listen())
        stack.callback(listening.cancel)
        yield found


async def test_each_sync_is_applied_to_its_cluster_and_one_that_dies_holds_up_no_other(
    place: Cluster, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(staged(place, tmp_path))
        running = AsyncExitStack()
        starting = cluster(tmp_path / "second", "emulator", say=silent)
        second = await running.enter_async_context(starting)
        stack.push_async_exit(running)
        stage = await stack.enter_async_context(of_two(first, second, tmp_path))
        async with kube(second.kubeconfig) as there, stage.applying():
            named = {"metadata": {"name": stage.namespace}}
            await there.call("POST", "api/v1/namespaces", named)
            await stage.declare(config_map("a", k="1"))
            assert (await stage.completed()).target == "default"
            await stage.declare(config_map("b", k="1"), sync="other", target="second")
            assert (await stage.completed()).target == "second"
            assert await stage.data("b") is None
            assert await there.get("ConfigMap", "a", stage.namespace) is None
            assert await there.get("ConfigMap", "b", stage.namespace)
            await there.delete("ConfigMap", "b", stage.namespace)
            assert (await stage.wait(DriftCorrected)).target == "second"

            await running.aclose()
            down = await stage.wait(DependencyDown)
            assert down.dependency.startswith("cluster second")
            await stage.kube.delete("ConfigMap", "a", stage.namespace)
            await stage.wait_data("a", {"k": "1"})
            await stage.declare(config_map("a", k="2"))
            assert (await stage.completed()).counts == {"configured": 1}
