"""The steps of the demo. Each returns when what it tells was seen outside of Flux."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from sandbox.demo import workloads
from sandbox.demo.story import Story
from sandbox.world import World

Scene = Callable[[World, Story], Awaitable[str]]
"""Plays a step and returns what happened, in half a sentence."""


async def push_workloads(world: World, story: Story) -> str:
    """Push three workloads with different policies and see them applied."""
    begin = time.monotonic()
    host = world.host
    files = workloads.repository(host)
    await world.push("Describe the shop", files)
    for name, tag in workloads.TAGS.items():
        await world.wait_image(name, tag)
    seconds = time.monotonic() - begin
    story.tell(f"three Deployments are applied and rolled out, {seconds:.2f} s after git push")
    story.tell("fluxctl list-workloads --namespace shop")
    story.show(await world.flux.fluxctl("list-workloads", "--namespace", world.namespace))
    return "web (semver:~1.0), api (glob:main-*), db (locked) applied from git"


async def push_images(world: World, story: Story) -> str:
    """Push new images; see one commit, its diff, and the rollout."""
    head = await world.copy.pull()
    begin = time.monotonic()
    await world.push_image("web", "1.0.1", "1.1.0")
    await world.push_image("api", "main-2", "feature-9")
    await world.push_image("db", "2.0.0")
    story.tell("pushed web 1.0.1 and 1.1.0, api main-2 and feature-9, db 2.0.0")
    await asyncio.gather(*(world.image_hook(name) for name in ("web", "api", "db")))
    subjects = await world.wait_commits(head)
    committed = time.monotonic() - begin
    await asyncio.gather(world.wait_image("web", "1.0.1"), world.wait_image("api", "main-2"))
    seconds = time.monotonic() - begin
    story.tell(f"committed after {committed:.2f} s, rolled out after {seconds:.2f} s:")
    story.show(await world.copy.show())
    assert len(subjects) == 1, f"one commit was expected, not {subjects}"
    await world.wait_image("db", "1.0.0", timeout=5)
    assert "shop/db:1.0.0" in world.copy.read("shop/db.yaml"), "the locked workload was moved"
    return f"one commit moved web and api, not db; in git {committed:.2f} s, live {seconds:.2f} s"


async def disturb(world: World, story: Story) -> str:
    """Delete an object and change a field by hand; see both put back."""
    begin = time.monotonic()
    old = await world.kube.get("ConfigMap", "settings", world.namespace)
    assert old is not None, "the ConfigMap settings was not applied"
    await world.kube.delete("ConfigMap", "settings", world.namespace)
    await world.kube.wait(
        "ConfigMap",
        "settings",
        lambda found: found is not None and found["metadata"]["uid"] != old["metadata"]["uid"],
        namespace=world.namespace,
    )
    deleted = time.monotonic() - begin
    story.tell(f"the deleted ConfigMap settings is back after {deleted:.2f} s")
    begin = time.monotonic()
    await world.kube.merge("Deployment", "db", {"spec": {"replicas": 7}}, world.namespace)
    await world.kube.wait(
        "Deployment",
        "db",
        lambda found: found is not None and found["spec"]["replicas"] == 2,
        namespace=world.namespace,
    )
    changed = time.monotonic() - begin
    story.tell(f"db, scaled to 7 by hand, is at 2 replicas again after {changed:.2f} s")
    return f"deleted object back in {deleted:.2f} s, changed field in {changed:.2f} s"


async def remove(world: World, story: Story) -> str:
    """Remove a manifest from git; see the object pruned."""
    begin = time.monotonic()
    await world.push("Drop the settings", {}, remove=["shop/settings.yaml"])
    await world.kube.wait(
        "ConfigMap", "settings", lambda found: found is None, namespace=world.namespace
    )
    seconds = time.monotonic() - begin
    story.tell(f"ConfigMap settings is gone {seconds:.2f} s after git push")
    return f"the object left the cluster {seconds:.2f} s after its manifest left git"


async def crash(world: World, story: Story) -> str:
    """Kill the repo-writer, push an image, start it again; see that the update was not lost."""
    head = await world.copy.pull()
    await world.flux.kill("repo-writer")
    story.tell("kill -9 repo-writer")
    await world.push_image("web", "1.0.2")
    await world.image_hook("web")
    story.tell("pushed web 1.0.2 while nobody could write it")
    await asyncio.sleep(1)
    assert await world.copy.pull() == head, "somebody wrote although the writer was dead"
    begin = time.monotonic()
    await world.flux.start("repo-writer")
    subjects = await world.wait_commits(head)
    await world.wait_image("web", "1.0.2")
    seconds = time.monotonic() - begin
    assert len(subjects) == 1, f"one commit was expected, not {subjects}"
    story.tell(f"started again: {subjects[0]!r}, rolled out after {seconds:.2f} s")
    return f"web 1.0.2 in git and live {seconds:.2f} s after the restart, written once"
