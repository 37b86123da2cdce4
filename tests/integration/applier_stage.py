"""An applier on a cluster, the bus in memory, and a person with kubectl."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from sandbox.cluster import Cluster
from sandbox.kube import Kube, kube
from services.cluster_applier.kube import REQUESTS
from services.cluster_applier.main import wire
from shared.bundle import store
from shared.bundle.format import Header
from shared.bundle.packing import pack
from shared.bundle.render import read, render
from shared.bus import names
from shared.bus.client import Client
from shared.bus.memory import MemoryBroker
from shared.config.model import Config
from shared.contract import Draft, Message, StateDeclared, SyncCompleted
from shared.runtime import lifecycle
from shared.runtime.health import Health

SYNCS = ("apps", "other")

ON_BOTH = pytest.mark.parametrize("place", ["emulator", "real"], indirect=True, scope="module")
"""For a module whose tests hold on either cluster; without it they run on the real one."""


@dataclass(slots=True, kw_only=True)
class Stage:
    """An applier, what it says, and a person with kubectl."""

    broker: MemoryBroker
    bus: Client
    kube: Kube
    config: Config
    namespace: str
    cluster: Cluster
    revisions: list[str] = field(default_factory=list)
    told: list[Message] = field(default_factory=list)

    @asynccontextmanager
    async def applying(self, *, idle: bool = False, dies: bool = False) -> AsyncIterator[None]:
        """
        Run the applier for the length of the block.

        *idle*: as a replica to which no sync falls; *dies*: it ends without a last word.
        """
        stop = asyncio.Event()
        async with (
            self.broker.connect("/cluster-applier/test") as bus,
            wire(self.config, bus, Health()) as workers,
            asyncio.TaskGroup() as group,
        ):
            some = {name: one for name, one in workers.items() if name != "consume" or not idle}
            task = group.create_task(lifecycle.supervise(some, stop=stop, grace=5))
            try:
                yield
            finally:
                task.cancel() if dies else stop.set()

    def mark_set(self, sync: str) -> str:
        """Return what the marks of a sync's objects are made with."""
        return f"{self.namespace}-{sync}"

    async def declare(
        self,
        text: str,
        *,
        sync: str = "apps",
        files: Mapping[str, str] | None = None,
        **header: Any,
    ) -> None:
        """Say that git declares *text*, and other *files* by their names, at a new revision."""
        self.revisions.append(f"{len(self.revisions):040x}")
        namespace, mark_set = self.namespace, self.mark_set(sync)
        rendered = render(
            read(name, one.encode(), default_namespace=namespace, mark_set=mark_set)
            for name, one in {"a.yaml": text, **(files or {})}.items()
        )
        values = {
            "sync": sync,
            "target": "default",
            "repository": "r#main",
            "url": "u",
            "revision": self.revisions[-1],
            "height": len(self.revisions),
            "ancestors": tuple(reversed(self.revisions)),
            "default_namespace": self.namespace,
            "problems": len(rendered.problems),
            "mark_set": mark_set,
            "skipped": rendered.skipped,
        }
        bundle = pack(
            Header.model_validate({**values, **header}), (*rendered.items, *rendered.whole)
        )
        await store.publish(self.bus, bundle)
        declared = {key: values[key] for key in ("sync", "target", "repository", "url")}
        state = StateDeclared(
            **declared, branch="main", revision=bundle.header.revision, bundle=bundle.digest
        )
        await self.bus.publish(Draft(message=state))

    async def listen(self) -> None:
        async with aclosing(self.bus.events(names.LOG)) as events:
            async for _, envelope in events:
                self.told.append(envelope.message)

    async def wait(self, kind: type, fits: Callable[[Any], bool] = lambda _: True) -> Any:
        """Wait until something that fits was told, and return it."""
        async with asyncio.timeout(30):
            while True:
                for message in self.told:
                    if isinstance(message, kind) and fits(message):
                        self.told.remove(message)
                        return message
                await asyncio.sleep(0.01)

    async def completed(self) -> SyncCompleted:
        revision = self.revisions[-1]
        return await self.wait(SyncCompleted, lambda one: one.revision == revision)

    async def inventory(self, sync: str = "apps") -> Any:
        """Return the inventory once it says what was told of the newest revision."""

        def is_kept(found: Any) -> bool:
            return bool(found and found["data"]["revision"] == self.revisions[-1])

        name, namespace = f"flux-inventory-{sync}", f"{self.namespace}-flux"
        return await self.kube.wait("ConfigMap", name, is_kept, namespace=namespace)

    async def data(self, name: str) -> Any:
        found = await self.kube.get("ConfigMap", name, self.namespace)
        return found and found.get("data")

    async def define(self, group: str, kind: str) -> str:
        """Define a kind as somebody by hand; return the path of its objects once it is served."""
        definition, plural = definition_of(group, kind), f"{kind.lower()}s"
        await self.kube.call("POST", DEFINITIONS, definition)
        path = f"apis/{group}/v1alpha1/namespaces/{self.namespace}/{plural}"
        async with asyncio.timeout(30):
            while not await self._is_served(path):
                await asyncio.sleep(0.05)
        return path

    async def _is_served(self, path: str) -> bool:
        try:
            return (await self.kube.call("GET", path))[0] == 200
        except ValueError:  # `404 page not found` is no JSON
            return False

    async def wait_data(self, name: str, data: object) -> None:
        async with asyncio.timeout(30):
            while await self.data(name) != data:
                await asyncio.sleep(0.01)


def configured(kubeconfig: Path, state: Path, namespace: str, **first: Any) -> Config:
    """Return a configuration of two syncs on one target."""
    syncs = [{"name": name, "git": {"url": "u"}, "sync_interval": "1h"} for name in SYNCS]
    syncs[0] |= {key: _filled(one, namespace) for key, one in first.items()}
    target = {"kubeconfig": str(kubeconfig), "namespace": f"{namespace}-flux"}
    return Config.model_validate(
        {"syncs": syncs, "targets": [{"name": "default", **target}], "state_dir": str(state)}
    )


def _filled(value: Any, namespace: str) -> Any:
    """Put the namespace in where `{}` stands for it."""
    if isinstance(value, str):
        return value.replace("{}", namespace)
    return [_filled(one, namespace) for one in value] if isinstance(value, list) else value


@asynccontextmanager
async def staged(place: Cluster, state: Path, **first: Any) -> AsyncIterator[Stage]:
    """Yield a stage with a namespace of its own on *place*; *first* are keys of the first sync."""
    namespace = f"test-{uuid4().hex[:6]}"
    config = configured(place.kubeconfig, state, namespace, **first)
    async with AsyncExitStack() as stack:
        broker = MemoryBroker([("default", name) for name in SYNCS])
        bus = await stack.enter_async_context(broker.connect("/test"))
        person = await stack.enter_async_context(kube(place.kubeconfig))
        await person.call("POST", "api/v1/namespaces", {"metadata": {"name": namespace}})
        found = Stage(
            broker=broker,
            bus=bus,
            kube=person,
            config=config,
            namespace=namespace,
            cluster=place,
        )
        group = await stack.enter_async_context(asyncio.TaskGroup())
        listening = group.create_task(found.listen())
        stack.callback(listening.cancel)
        yield found


@asynccontextmanager
async def parted(stage: Stage) -> AsyncIterator[Stage]:
    """Yield a second replica of *stage*, which a cut has parted from it: on a bus of its own."""
    async with AsyncExitStack() as stack:
        broker = MemoryBroker([("default", name) for name in SYNCS])
        bus = await stack.enter_async_context(broker.connect("/test"))
        found = replace(stage, broker=broker, bus=bus, told=[])
        group = await stack.enter_async_context(asyncio.TaskGroup())
        listening = group.create_task(found.listen())
        stack.callback(listening.cancel)
        yield found


def definition_of(group: str, kind: str) -> Any:
    """Return the definition of a namespaced kind that holds anything."""
    plural, singular = f"{kind.lower()}s", kind.lower()
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1alpha1", "served": True, "storage": True}
    names = {"plural": plural, "singular": singular, "kind": kind, "listKind": f"{kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": names,
            "versions": [
                {
                    **version,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                }
            ],
        },
    }


DEFINITIONS = "apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def config_map(name: str, **data: str) -> str:
    lines = "".join(f'  {key}: "{value}"\n' for key, value in data.items())
    return f"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata:\n{lines}"


def applies() -> float:
    return REQUESTS.labels("default", "apply")._value.get()
