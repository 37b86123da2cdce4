"""
A whole Flux on a whole sandbox with one repository, and what a person does to it and asks of it.

The demo, the end-to-end tests and the benchmarks all play with it.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from sandbox.everything import Everything
from sandbox.images import Images
from sandbox.installation import Installation, installation, one_sync
from sandbox.kube import Kube, images, is_rolled_out, kube
from sandbox.progress import Say, silent
from sandbox.working_copy import WorkingCopy

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  namespace: {namespace}
  annotations: {{fluxcd.io/automated: "true", fluxcd.io/tag.main: "semver:1.x"}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      containers:
        - name: main
          image: {host}/{namespace}/{name}:{tag}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Flux, a person's clone, and everything it meets; all in one namespace."""

    flux: Installation
    copy: WorkingCopy
    images: Images
    kube: Kube
    namespace: str
    git_url: str

    @property
    def host(self) -> str:
        """The registry."""
        return self.flux.place.registry.host

    def deployment(self, name: str, tag: str = "1.0.0") -> str:
        """Return the manifest of an automated Deployment that follows `semver:1.x`."""
        return DEPLOYMENT.format(name=name, namespace=self.namespace, host=self.host, tag=tag)

    async def push(
        self, message: str, files: Mapping[str, str], *, remove: Iterable[str] = ()
    ) -> str:
        """Push to git and tell it, as a git host's webhook would."""
        await self.copy.pull()
        for path in remove:
            self.copy.remove(path)
        revision = await self.copy.commit_and_push(message, files)
        await self.git_hook()
        return revision

    async def git_hook(self) -> None:
        """Tell that the branch has moved, as a git host does."""
        await self.notify("git", {"URL": self.git_url, "Branch": "main"})

    async def image_hook(self, name: str) -> None:
        """Tell that an image was pushed, as a registry does."""
        source = {"Name": {"Domain": self.host, "Image": f"{self.namespace}/{name}"}}
        await self.notify("image", source)

    async def push_image(self, name: str, *tags: str) -> None:
        """Push *tags* of an image to the registry."""
        await self.images.push(f"{self.namespace}/{name}", *tags)

    async def notify(self, kind: str, source: Mapping[str, object]) -> None:
        """Call the gateway's webhook."""
        await self._post("v11/notify", {"Kind": kind, "Source": source})

    async def sync(self) -> None:
        """Order a sync, as `fluxctl sync` does."""
        await self._post("v9/update-manifests", {"type": "sync", "cause": {}, "spec": {}})

    async def policy(self, name: str, *, add: str = "", remove: str = "") -> str:
        """Order a policy of a Deployment, as `fluxctl lock` does; return the job's id."""
        change = {"add": {add: "true"} if add else {}, "remove": {remove: "true"} if remove else {}}
        spec = {f"{self.namespace}:deployment/{name}": change}
        text = await self._post(
            "v9/update-manifests", {"type": "policy", "cause": {}, "spec": spec}
        )
        return str(json.loads(text))

    async def _post(self, path: str, body: object) -> str:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.flux.gateway_url}/{path}", json=body) as answer,
        ):
            answer.raise_for_status()
            return await answer.text()

    async def wait_image(self, name: str, tag: str, timeout: float = 60) -> None:
        """Wait until the cluster runs *tag* of *name*, rolled out."""
        wanted = f"{self.host}/{self.namespace}/{name}:{tag}"
        await self.kube.wait(
            "Deployment",
            name,
            lambda found: images(found) == [wanted] and is_rolled_out(found),
            namespace=self.namespace,
            timeout=timeout,
        )

    async def wait_declared(self, name: str, tag: str, timeout: float = 60) -> None:
        """Wait until the branch declares *tag* of *name*."""
        wanted = f"{self.host}/{self.namespace}/{name}:{tag}"
        async with asyncio.timeout(timeout):
            while True:
                await self.copy.pull()
                if wanted in self.copy.read(f"{name}.yaml"):
                    return
                await asyncio.sleep(0.1)

    async def wait_commits(self, head: str, *, timeout: float = 60) -> list[str]:
        """Wait until the branch has left *head*; return the subjects of the commits since."""
        async with asyncio.timeout(timeout):
            while not (subjects := await self._since(head)):
                await asyncio.sleep(0.02)
        return subjects

    async def _since(self, head: str) -> list[str]:
        await self.copy.pull()
        return await self.copy.log(f"{head}..HEAD")

    async def updates(self, head: str) -> list[str]:
        """Return every update written since *head*, as the commits' trailers tell them."""
        await self.copy.pull()
        log = await self.copy.git("log", "--format=%B", f"{head}..HEAD")
        return re.findall(r"^Flux-Update: (.*)$", log, re.MULTILINE)


@asynccontextmanager
async def world(
    place: Everything,
    directory: Path,
    name: str,
    *,
    say: Say = silent,
    options: Mapping[str, object] | None = None,
    **config: object,
) -> AsyncIterator[World]:
    """
    Run Flux on a new repository, which declares the namespace *name* and nothing else.

    *options* are those of its sync; the rest of the configuration is *config*.
    """
    async with AsyncExitStack() as stack:
        repository = await place.git.create(name)
        copy = await WorkingCopy.clone(repository, directory / "copy")
        namespace = f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n"
        await copy.commit_and_push("Begin", {"namespace.yaml": namespace})
        flux = await stack.enter_async_context(
            installation(
                directory / "flux",
                place,
                one_sync(repository, place.git.username, options, **config),
                namespace=f"{name}-flux",
                say=say,
            )
        )
        yield World(
            flux=flux,
            copy=copy,
            images=await stack.enter_async_context(Images(place.registry.host)),
            kube=await stack.enter_async_context(kube(place.cluster.kubeconfig)),
            namespace=name,
            git_url=repository.http_url,
        )
