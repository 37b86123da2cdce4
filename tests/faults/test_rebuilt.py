"""No state that cannot be rebuilt: whatever is deleted, nothing that runs notices."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from uuid import uuid4

import aiohttp
import pytest

from sandbox import virtual_host
from sandbox.broker import Broker
from sandbox.broker_node import Node, find_server
from sandbox.broker_node import running as a_node
from sandbox.everything import Everything
from sandbox.progress import silent
from sandbox.world import World
from sandbox.world import world as a_world
from tests.faults.test_replicas import config_map, wait_value

pytestmark = [
    *(pytest.mark.e2e, pytest.mark.rabbit, pytest.mark.cluster, pytest.mark.faults),
    pytest.mark.timeout(300),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A world on a broker of its own, whose data can be lost."""

    world: World
    node: Node

    async def lose_caches(self, *services: str) -> None:
        for service in services:
            shutil.rmtree(self.world.flux.directory / "state" / service)

    async def lose_inventory(self) -> None:
        namespace, name = f"{self.world.namespace}-flux", "flux-inventory-apps"
        await self.world.kube.delete("ConfigMap", name, namespace)

    async def lose_broker(self) -> None:
        """Lose its volume; an operator makes the virtual host and declares the topology."""
        await self.node.kill()
        self.node.lose_data()
        await self.node.start()
        flux = self.world.flux
        await virtual_host.make(flux.place.broker, flux.amqp_url.rpartition("/")[2])
        await flux.configure()

    async def lose_all(self) -> None:
        await self.lose_caches(*CACHES)
        await self.lose_inventory()
        await self.lose_broker()

    async def runs(self) -> dict[str, str]:
        """Return every object and pod, by what would be another one were it made anew."""
        kube, namespace = self.world.kube, self.world.namespace
        _, pods = await kube.call("GET", f"api/v1/namespaces/{namespace}/pods")
        found = [
            *await kube.list("Deployment", namespace),
            *(await kube.list("ConfigMap", namespace)),
            *pods["items"],
        ]
        return {one["metadata"]["name"]: one["metadata"]["uid"] for one in found}


CACHES = ("git-watcher", "registry-scanner", "repo-writer")


@pytest.fixture(scope="module")
async def own(place: Everything, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    script = find_server()
    assert script is not None, "a broker that is to lose its data must be an installed one"
    directory = tmp_path_factory.mktemp("rebuilt")
    async with a_node(script, directory / "broker", say=silent) as node:
        address = node.address
        login = f"{address.username}:{address.password}"
        broker = Broker(
            amqp_url=f"amqp://{login}@127.0.0.1:{address.amqp}/",
            management_url=f"http://127.0.0.1:{address.management}",
            prometheus_url="",
            username=address.username,
            password=address.password,
            how="a private node",
            server=node,
        )
        name = f"rebuilt-{uuid4().hex[:6]}"
        async with a_world(replace(place, broker=broker), directory, name) as world:
            yield Place(world=world, node=node)


async def test_what_is_lost_is_rebuilt_without_a_commit_a_delete_or_a_restart(own: Place) -> None:
    world = own.world
    await world.push_image("web", "1.0.0")
    files = {"web.yaml": world.deployment("web"), **config_map(world, 0, "a", "kept")}
    await world.push("Add web", files)
    await world.wait_image("web", "1.0.0")
    head, runs = await world.copy.pull(), await own.runs()

    async def lost(value: int, lose: Callable[[], Awaitable[None]], *services: str) -> None:
        await world.flux.stop(*services)
        await lose()
        await world.flux.start(*services)
        await world.push(f"Value {value}", config_map(world, value, "a"))
        await wait_value(world, "a", value, timeout=60)
        assert await own.runs() == runs
        assert await world.updates(head) == []

    for value, service in enumerate(CACHES, 1):
        await lost(value, partial(own.lose_caches, service), service)
    await lost(4, own.lose_inventory, "cluster-applier")
    await lost(5, own.lose_broker)
    await lost(6, own.lose_all)

    await world.push_image("web", "1.1.0")
    await world.image_hook("web")
    await world.wait_image("web", "1.1.0")
    await world.push("Remove it", {}, remove=["kept.yaml"])
    await world.kube.wait(
        "ConfigMap", "kept", lambda found: found is None, namespace=world.namespace
    )
    assert len(await world.updates(head)) == 1


async def test_an_order_that_is_lost_with_the_broker_is_told_as_unknown(own: Place) -> None:
    world = own.world
    await world.push("Add other", {"other.yaml": world.deployment("other")})
    await world.kube.wait("Deployment", "other", bool, namespace=world.namespace)
    await world.flux.stop("repo-writer")
    job = await world.policy("other", add="locked")
    assert (await asked(world, job))[0] == 200
    await world.flux.stop()
    await own.lose_broker()
    await world.flux.start()
    status, text = await asked(world, job)
    assert status >= 400
    assert job in text


async def wait_gone(world: World, name: str) -> None:
    namespace = world.namespace
    await world.kube.wait("ConfigMap", name, lambda found: found is None, namespace=namespace)


async def asked(world: World, job: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{world.flux.gateway_url}/v6/jobs?id={job}") as answer,
    ):
        return answer.status, await answer.text()
