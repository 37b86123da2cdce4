"""The steps of the demo. Each returns when what it tells was seen outside of Flux."""

import asyncio
import time
from dataclasses import dataclass

import aiohttp

from sandbox.demo import workloads
from sandbox.demo.story import Story
from sandbox.images import Images
from sandbox.installation import Installation
from sandbox.kube import Kube, images, is_rolled_out
from sandbox.working_copy import WorkingCopy

NAMESPACE = "shop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything that the scenes play with."""

    flux: Installation
    copy: WorkingCopy
    images: Images
    kube: Kube
    story: Story
    git_url: str

    async def notify(self, kind: str, source: object) -> None:
        """Do what a git host's or a registry's webhook does."""
        url = f"{self.flux.gateway_url}/v11/notify"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, json={"Kind": kind, "Source": source}) as answer,
        ):
            answer.raise_for_status()

    async def git_hook(self) -> None:
        """Tell that the branch has moved."""
        await self.notify("git", {"URL": self.git_url, "Branch": "main"})

    async def image_hook(self, name: str) -> None:
        """Tell that an image was pushed."""
        host = self.flux.place.registry.host
        await self.notify("image", {"Name": {"Domain": host, "Image": f"shop/{name}"}})

    async def wait_image(self, name: str, tag: str, *, timeout: float = 60) -> None:
        """Wait until the cluster runs *tag* of *name*, rolled out."""
        wanted = f"{self.flux.place.registry.host}/shop/{name}:{tag}"
        await self.kube.wait(
            "Deployment",
            name,
            lambda found: images(found) == [wanted] and is_rolled_out(found),
            namespace=NAMESPACE,
            timeout=timeout,
        )

    async def wait_commits(self, head: str, count: int = 1) -> list[str]:
        """Wait until the branch has *count* commits more than *head*; return their subjects."""
        async with asyncio.timeout(60):
            while True:
                await self.copy.pull()
                subjects = await self.copy.log(f"{head}..HEAD")
                if len(subjects) >= count:
                    return subjects
                await asyncio.sleep(0.05)


async def push_workloads(stage: Stage) -> str:
    """Push three workloads with different policies and see them applied."""
    begin = time.monotonic()
    host = stage.flux.place.registry.host
    files = workloads.repository(host)
    await stage.copy.commit_and_push("Describe the shop", files)
    await stage.git_hook()
    for name, tag in workloads.TAGS.items():
        await stage.wait_image(name, tag)
    seconds = time.monotonic() - begin
    stage.story.tell(
        f"three Deployments are applied and rolled out, {seconds:.2f} s after git push"
    )
    stage.story.tell("fluxctl list-workloads --namespace shop")
    stage.story.show(await stage.flux.fluxctl("list-workloads", "--namespace", NAMESPACE))
    return "web (semver:~1.0), api (glob:main-*), db (locked) applied from git"


async def push_images(stage: Stage) -> str:
    """Push new images; see one commit, its diff, and the rollout."""
    head = await stage.copy.pull()
    begin = time.monotonic()
    await stage.images.push("shop/web", "1.0.1", "1.1.0")
    await stage.images.push("shop/api", "main-2", "feature-9")
    await stage.images.push("shop/db", "2.0.0")
    stage.story.tell("pushed web 1.0.1 and 1.1.0, api main-2 and feature-9, db 2.0.0")
    await asyncio.gather(*(stage.image_hook(name) for name in ("web", "api", "db")))
    subjects = await stage.wait_commits(head)
    committed = time.monotonic() - begin
    await asyncio.gather(stage.wait_image("web", "1.0.1"), stage.wait_image("api", "main-2"))
    seconds = time.monotonic() - begin
    stage.story.tell(f"committed after {committed:.2f} s, rolled out after {seconds:.2f} s:")
    stage.story.show(await stage.copy.show())
    assert len(subjects) == 1, f"one commit was expected, not {subjects}"
    await stage.wait_image("db", "1.0.0", timeout=5)
    assert "shop/db:1.0.0" in stage.copy.read("shop/db.yaml"), "the locked workload was moved"
    return f"one commit moved web and api, not db; in git {committed:.2f} s, live {seconds:.2f} s"


async def disturb(stage: Stage) -> str:
    """Delete an object and change a field by hand; see both put back."""
    begin = time.monotonic()
    old = await stage.kube.get("ConfigMap", "settings", NAMESPACE)
    await stage.kube.delete("ConfigMap", "settings", NAMESPACE)
    await stage.kube.wait(
        "ConfigMap",
        "settings",
        lambda found: found is not None and found["metadata"]["uid"] != old["metadata"]["uid"],
        namespace=NAMESPACE,
    )
    deleted = time.monotonic() - begin
    stage.story.tell(f"the deleted ConfigMap settings is back after {deleted:.2f} s")
    begin = time.monotonic()
    await stage.kube.merge("Deployment", "db", {"spec": {"replicas": 7}}, NAMESPACE)
    await stage.kube.wait(
        "Deployment", "db", lambda found: found["spec"]["replicas"] == 2, namespace=NAMESPACE
    )
    changed = time.monotonic() - begin
    stage.story.tell(f"db, scaled to 7 by hand, is at 2 replicas again after {changed:.2f} s")
    return f"deleted object back in {deleted:.2f} s, changed field in {changed:.2f} s"


async def remove(stage: Stage) -> str:
    """Remove a manifest from git; see the object pruned."""
    await stage.copy.pull()
    begin = time.monotonic()
    stage.copy.remove("shop/settings.yaml")
    await stage.copy.commit("Drop the settings")
    await stage.copy.push()
    await stage.git_hook()
    await stage.kube.wait("ConfigMap", "settings", lambda found: found is None, namespace=NAMESPACE)
    seconds = time.monotonic() - begin
    stage.story.tell(f"ConfigMap settings is gone {seconds:.2f} s after git push")
    return f"the object left the cluster {seconds:.2f} s after its manifest left git"


async def crash(stage: Stage) -> str:
    """Kill the repo-writer, push an image, start it again; see that the update was not lost."""
    head = await stage.copy.pull()
    await stage.flux.kill("repo-writer")
    stage.story.tell("kill -9 repo-writer")
    await stage.images.push("shop/web", "1.0.2")
    await stage.image_hook("web")
    stage.story.tell("pushed web 1.0.2 while nobody could write it")
    await asyncio.sleep(1)
    assert await stage.copy.pull() == head, "somebody wrote although the writer was dead"
    begin = time.monotonic()
    await stage.flux.start("repo-writer")
    subjects = await stage.wait_commits(head)
    await stage.wait_image("web", "1.0.2")
    seconds = time.monotonic() - begin
    assert len(subjects) == 1, f"one commit was expected, not {subjects}"
    stage.story.tell(f"started again: {subjects[0]!r}, rolled out after {seconds:.2f} s")
    return f"web 1.0.2 in git and live {seconds:.2f} s after the restart, written once"
