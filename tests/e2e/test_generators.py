"""What programs print reaches the cluster, and a new image the patch file, in six processes."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest

from sandbox.everything import Everything
from sandbox.world import World
from sandbox.world import world as a_world
from tests.integration.renderer_stage import renderer

pytestmark = [pytest.mark.e2e, pytest.mark.rabbit, pytest.mark.cluster, pytest.mark.timeout(240)]

FLUX_YAML = """\
version: 1
patchUpdated:
  generators:
    - command: cat namespace.yaml
    - command: sed "s/@replicas/$(cat replicas)/" web.template
  patchFile: flux-patch.yaml
"""


async def test_generated_workloads_are_applied_updated_and_wait_for_a_renderer_that_is_gone(
    place: Everything, tmp_path: Path
) -> None:
    async with renderer(tmp_path) as programs:
        own = programs.settings.model_dump(mode="json", exclude_none=True)
        options = {"git": {"manifest_generation": True}}
        name = f"e2e-{uuid4().hex[:6]}"
        async with a_world(place, tmp_path, name, options=options, renderer=own) as world:
            await world.push_image("web", "1.0.0")
            template = world.deployment("web").replace("replicas: 1", "replicas: @replicas")
            files = {".flux.yaml": FLUX_YAML, "web.template": template, "replicas": "1"}
            await world.push("Generate web", files)
            await world.wait_image("web", "1.0.0")

            await world.push_image("web", "1.1.0")
            await world.image_hook("web")
            await world.wait_image("web", "1.1.0")
            await world.copy.pull()
            assert "web:1.1.0" in world.copy.read("flux-patch.yaml")
            assert world.copy.read("web.template") == template

            await programs.kill()
            await world.push("Scale web", {"replicas": "2"})
            await told_down(world)
            assert await replicas(world) == 1  # it stays as it was, and nothing is pruned
            await programs.start()
            await world.kube.wait(
                "Deployment",
                "web",
                lambda found: found is not None and found["spec"]["replicas"] == 2,
                namespace=world.namespace,
            )
            await world.wait_image("web", "1.1.0")
            world.flux.check_alive()


async def replicas(world: World) -> int:
    found = await world.kube.get("Deployment", "web", world.namespace)
    assert found is not None
    return int(found["spec"]["replicas"])


async def told_down(world: World) -> None:
    """Wait until git_watcher tells that the renderer is gone."""
    async with asyncio.timeout(60):
        while '"dependency": "renderer"' not in world.flux.log("git-watcher").read_text():
            await asyncio.sleep(0.1)
