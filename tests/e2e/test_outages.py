"""What is away is told once, `/readyz` says so, and work resumes by itself when it is back."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest
from yarl import URL

from sandbox.everything import Everything
from sandbox.installation import SERVICES
from sandbox.kube import kube
from sandbox.proxy import proxy
from sandbox.world import World
from sandbox.world import world as a_world

pytestmark = [pytest.mark.e2e, pytest.mark.rabbit, pytest.mark.cluster, pytest.mark.timeout(240)]


async def readiness(world: World, service: str) -> str:
    url = f"http://127.0.0.1:{world.flux.ports[service]}/readyz"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.text()


async def wait_told(world: World, service: str, who: str) -> str:
    """Wait until *service* says that somebody is away; others can be worked on, so it is ready."""
    text = await wait_readiness(world, service, lambda text: who in text)
    await world.flux.wait_ready(service)
    return text


async def wait_readiness(world: World, service: str, wanted: Callable[[str], bool]) -> str:
    text = ""
    try:
        async with asyncio.timeout(60):
            while not wanted(text := await readiness(world, service)):
                await asyncio.sleep(0.1)
    except TimeoutError as error:
        raise AssertionError(f"/readyz of {service} says {text!r}") from error
    return text


def told(world: World, service: str, event: str) -> int:
    """Count how often the log of *service* tells *event*."""
    return world.flux.log(service).read_text().count(f'"event": "{event}"')


def config_map(world: World, name: str) -> dict[str, str]:
    metadata = f"{{name: {name}, namespace: {world.namespace}}}"
    return {f"{name}.yaml": f"apiVersion: v1\nkind: ConfigMap\nmetadata: {metadata}\n"}


async def test_a_broker_that_is_away_is_told_once_by_each_and_work_resumes(world: World) -> None:
    await world.push("Add one", config_map(world, "one"))
    await world.kube.wait("ConfigMap", "one", bool, namespace=world.namespace)
    await world.copy.pull()
    await world.copy.commit_and_push("Add two", config_map(world, "two"))
    broker = world.flux.place.broker
    await broker.kill()
    try:
        for service in SERVICES:
            await wait_readiness(world, service, lambda text: "broker: " in text)
        with pytest.raises(aiohttp.ClientResponseError) as refused:
            await world.git_hook()
    finally:
        await broker.start()
    for service in SERVICES:
        await wait_readiness(world, service, lambda text: text == "ok\n")
    await world.git_hook()
    await world.kube.wait("ConfigMap", "two", bool, namespace=world.namespace)

    assert refused.value.status == 503
    for service in SERVICES:
        assert told(world, service, "broker down") == 1
        assert told(world, service, "broker up") == 1


async def test_a_git_host_that_is_away_is_told_once_and_read_when_it_is_back(
    world: World,
) -> None:
    await world.push("Add one", config_map(world, "one"))
    await world.kube.wait("ConfigMap", "one", bool, namespace=world.namespace)
    await world.copy.pull()
    await world.copy.commit_and_push("Add two", config_map(world, "two"))
    git = world.flux.place.git
    git.fail(503)
    try:
        for _ in range(3):
            await world.git_hook()
            await asyncio.sleep(0.5)
        said = await wait_told(world, "git-watcher", "git host")
    finally:
        git.resume()
    await wait_readiness(world, "git-watcher", lambda text: text == "ok\n")
    await world.kube.wait("ConfigMap", "two", bool, namespace=world.namespace)

    assert "503" in said
    assert told(world, "git-watcher", "dependency down") == 1
    assert told(world, "git-watcher", "dependency up") == 1


async def test_a_registry_that_is_away_is_told_once_and_read_when_it_is_back(
    world: World,
) -> None:
    await world.push_image("web", "1.0.0")
    await world.push("Add web", {"web.yaml": world.deployment("web")})
    await world.wait_image("web", "1.0.0")
    await world.push_image("web", "1.1.0")
    registry = world.flux.place.registry
    await registry.stop()
    try:
        await world.image_hook("web")
        await wait_readiness(world, "registry-scanner", lambda text: "registry " in text)
    finally:
        await registry.start()
    await world.wait_image("web", "1.1.0")
    await wait_readiness(world, "registry-scanner", lambda text: text == "ok\n")

    assert told(world, "registry-scanner", "dependency down") == 1
    assert told(world, "registry-scanner", "dependency up") == 1


async def test_a_cluster_that_is_away_is_told_once_and_made_equal_when_it_is_back(
    place: Everything, tmp_path: Path
) -> None:
    server = URL(place.cluster.server)
    assert server.host
    assert server.port
    async with proxy(server.host, server.port) as link:
        behind = tmp_path / "kubeconfig"
        text = place.cluster.kubeconfig.read_text()
        behind.write_text(text.replace(f":{server.port}", f":{link.port}"))
        cluster = replace(place.cluster, kubeconfig=behind)
        name = f"e2e-{uuid4().hex[:6]}"
        async with (
            a_world(replace(place, cluster=cluster), tmp_path, name) as world,
            kube(place.cluster.kubeconfig) as direct,
        ):
            await world.push("Add one", config_map(world, "one"))
            await direct.wait("ConfigMap", "one", bool, namespace=world.namespace)
            await link.cut()
            await world.push("Add two", config_map(world, "two"))
            await wait_told(world, "cluster-applier", "cluster default")
            await link.restore()
            await direct.wait("ConfigMap", "two", bool, namespace=world.namespace)
            await wait_readiness(world, "cluster-applier", lambda text: text == "ok\n")

            assert told(world, "cluster-applier", "dependency down") == 1
            assert told(world, "cluster-applier", "dependency up") == 1
