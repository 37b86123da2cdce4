"""One applier, several clusters: the real control plane and an emulated one beside it."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
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


def both(
    first: Path, second: Path, others: Sequence[str], directory: Path, namespace: str
) -> Config:
    """Return a configuration of a sync for one cluster, and of *others* for a second one."""
    more = {"git": {"url": "u"}, "sync_interval": "1h"}
    syncs = [{"name": "apps", **more}]
    syncs += [{"name": name, "target": "second", **more} for name in others]
    targets = [
        {"name": name, "kubeconfig": str(one), "namespace": f"{namespace}-flux"}
        for name, one in (("default", first), ("second", second))
    ]
    return Config.model_validate({"syncs": syncs, "targets": targets, "state_dir": str(directory)})


@asynccontextmanager
async def of_two(
    stage: Stage, second: Path, directory: Path, others: Sequence[str] = ("other",)
) -> AsyncIterator[Stage]:
    """Yield *stage* with a second cluster, to which its kubeconfig leads."""
    async with AsyncExitStack() as stack:
        broker = MemoryBroker([("default", "apps"), *(("second", name) for name in others)])
        bus = await stack.enter_async_context(broker.connect("/test"))
        config = both(stage.cluster.kubeconfig, second, others, directory, stage.namespace)
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
        stage = await stack.enter_async_context(of_two(first, second.kubeconfig, tmp_path))
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


async def test_many_syncs_of_a_cluster_that_hangs_hold_up_none_of_another(
    place: Cluster, tmp_path: Path
) -> None:
    names = [f"other-{number}" for number in range(20)]
    async with (
        staged(place, tmp_path) as first,
        silence(tmp_path) as kubeconfig,
        of_two(first, kubeconfig, tmp_path, names) as stage,
        stage.applying(),
    ):
        for name in names:
            await stage.declare(config_map("b", k="1"), sync=name, target="second")
        await asyncio.sleep(0.5)  # they have begun
        await stage.declare(config_map("a", k="1"))
        async with asyncio.timeout(10):
            assert (await stage.completed()).counts == {"created": 1}


async def test_a_cluster_that_nothing_leads_to_yet_holds_up_no_other_and_is_reached_later(
    place: Cluster, tmp_path: Path
) -> None:
    later = tmp_path / "later"
    async with (
        staged(place, tmp_path) as first,
        of_two(first, later, tmp_path) as stage,
        stage.applying(),
    ):
        await stage.declare(config_map("b", k="1"), sync="other", target="second")
        await stage.declare(config_map("a", k="1"))
        assert (await stage.completed()).counts == {"created": 1}
        down = await stage.wait(DependencyDown, lambda one: one.dependency == "cluster second")
        assert "the kubeconfig can't be read" in down.reason
        later.write_text(place.kubeconfig.read_text())
        await stage.wait_data("b", {"k": "1"})


@asynccontextmanager
async def silence(directory: Path) -> AsyncIterator[Path]:
    """Yield a kubeconfig of a server that takes connections, and answers nothing."""

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    value = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://{host}:{port}"}}],
    }
    (directory / "silence").write_text(json.dumps(value))
    try:
        yield directory / "silence"
    finally:
        server.close()
        for writer in held:
            writer.close()
