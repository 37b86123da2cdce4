"""The main job from push to rollout: five processes, a real broker, git, registry and cluster."""

import asyncio
import json

import aiohttp
import pytest

from sandbox.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.rabbit, pytest.mark.cluster, pytest.mark.timeout(240)]


async def test_a_push_reaches_the_cluster_and_a_new_image_reaches_git_and_the_cluster(
    world: World,
) -> None:
    await world.push_image("web", "1.0.0")
    await world.push("Add web", {"web.yaml": world.deployment("web")})
    await world.wait_image("web", "1.0.0")

    head = await world.copy.head()
    await world.push_image("web", "1.1.0", "2.0.0")
    await world.image_hook("web")
    await world.wait_image("web", "1.1.0")

    image = f"{world.host}/{world.namespace}/web"
    assert await world.updates(head) == [
        f"{world.namespace}:deployment/web main {image}:1.0.0 -> {image}:1.1.0"
    ]


async def test_what_is_deleted_or_changed_by_hand_is_put_back(world: World) -> None:
    await world.push_image("web", "1.0.0")
    await world.push("Add web", {"web.yaml": world.deployment("web")})
    await world.wait_image("web", "1.0.0")

    await world.kube.merge("Deployment", "web", {"spec": {"replicas": 5}}, world.namespace)
    await world.kube.wait(
        "Deployment",
        "web",
        lambda found: found is not None and found["spec"]["replicas"] == 1,
        namespace=world.namespace,
        timeout=60,
    )
    await world.kube.delete("Deployment", "web", world.namespace)
    await world.wait_image("web", "1.0.0", timeout=60)


async def test_what_leaves_git_leaves_the_cluster(world: World) -> None:
    settings = (
        "apiVersion: v1\nkind: ConfigMap\n"
        f"metadata: {{name: settings, namespace: {world.namespace}}}\ndata: {{a: b}}\n"
    )
    await world.push("Add settings", {"settings.yaml": settings})
    await world.kube.wait("ConfigMap", "settings", bool, namespace=world.namespace)
    await world.push("Drop settings", {}, remove=["settings.yaml"])
    await world.kube.wait(
        "ConfigMap", "settings", lambda found: found is None, namespace=world.namespace, timeout=60
    )


async def test_a_broken_file_spoils_only_itself_and_suspends_pruning(world: World) -> None:
    def config(name: str) -> str:
        return (
            "apiVersion: v1\nkind: ConfigMap\n"
            f"metadata: {{name: {name}, namespace: {world.namespace}}}\ndata: {{a: b}}\n"
        )

    await world.push("Add two", {"one.yaml": config("one"), "two.yaml": config("two")})
    await world.kube.wait("ConfigMap", "two", bool, namespace=world.namespace)

    files = {"two.yaml": "a: [\n", "three.yaml": config("three")}
    await world.push("Break two, drop one, add three", files, remove=["one.yaml"])
    await world.kube.wait("ConfigMap", "three", bool, namespace=world.namespace)

    async with aiohttp.ClientSession() as session:
        url = world.flux.gateway_url.replace("/api/flux", "/api/v1/syncs")
        async with asyncio.timeout(60):
            while True:
                async with session.get(url) as answer:
                    (sync,) = await answer.json()
                if sync["declared"] == sync["applied"] and sync["problems"]:
                    break
                await asyncio.sleep(0.1)
    assert sync["problems"][0]["file"] == "two.yaml"
    assert sync["problems"][0]["line"] in {1, 2}
    assert sync["pruned"] is False
    for name in ("one", "two"):
        assert await world.kube.get("ConfigMap", name, world.namespace)


async def test_a_release_by_hand_is_written_and_waited_for(world: World) -> None:
    await world.push_image("web", "1.0.0", "1.5.0", "2.0.0")
    manifest = world.deployment("web").replace('fluxcd.io/automated: "true", ', "")
    await world.push("Add web", {"web.yaml": manifest})
    await world.wait_image("web", "1.0.0")

    workload = f"{world.namespace}:deployment/web"
    printed = await world.flux.fluxctl(
        "release", "--workload", workload, "--update-all-images", "--user", "Flux"
    )
    assert f"{workload}  success" in printed
    await world.wait_image("web", "1.5.0")

    listed = await world.flux.fluxctl("list-workloads", "-n", world.namespace, "-o", "json")
    assert [one["Status"] for one in json.loads(listed)] == ["ready"]


async def test_with_automation_off_nothing_is_scanned(world: World) -> None:
    await world.push_image("web", "1.0.0")
    manifest = world.deployment("web").replace('fluxcd.io/automated: "true", ', "")
    await world.push("Add web", {"web.yaml": manifest})
    await world.wait_image("web", "1.0.0")
    head = await world.copy.head()

    await world.push_image("web", "1.1.0")
    await world.image_hook("web")
    await world.push("Something else", {"README.md": "read me\n"})
    await asyncio.sleep(2)
    assert await world.updates(head) == []
