"""
Watches everything of the kinds that we applied, and tells what differs the moment it does.

Of most kinds only the metadata travels, and only of objects that carry our mark. Workloads are
watched whole and all: their status is told, too.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from services.cluster_applier.discovery import Resource
from services.cluster_applier.domain.drift import Drift
from services.cluster_applier.domain.ledger import Ledger, Seen
from services.cluster_applier.domain.status import KINDS
from services.cluster_applier.kube import METADATA, METADATA_LIST, Kube
from shared.bus.port import Bus
from shared.manifests import ObjectId
from shared.runtime.errors import TemporaryError
from shared.runtime.tasks import each

logger = structlog.get_logger(__name__)

MARK = "fluxcd.io/sync-gc-mark"
PAGE = "500"
LONGEST = 30.0
"""Seconds between two tries of a watch that fails."""

OnDrift = Callable[[str, str, Drift], None]
"""Told sync, object id and drift."""
OnWorkload = Callable[[ObjectId, Mapping[str, Any] | None], None]
"""Told a workload as it is now; None where it is gone."""


class Watches:
    """One watch for each kind; more kinds are added as they are applied."""

    def __init__(
        self, kube: Kube, ledger: Ledger, bus: Bus, *, drift: OnDrift, workload: OnWorkload
    ) -> None:
        self._kube = kube
        self._ledger = ledger
        self._bus = bus
        self._drift = drift
        self._workload = workload
        self._kinds: dict[tuple[str, str], Resource] = {}
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._new = asyncio.Event()

    def ensure(self, resources: set[Resource]) -> None:
        """Watch these kinds from now on, too."""
        for resource in resources:
            if (resource.group, resource.kind) not in self._kinds:
                self._kinds[resource.group, resource.kind] = resource
                self._new.set()

    async def compare(self) -> None:
        """Look at everything once, a list a kind; what differs is told as drift."""
        await each(
            tuple(self._kinds.values()), self._look, at_once=len(self._kinds), name="compare"
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until *stop*."""
        async with asyncio.TaskGroup() as group:
            starting = group.create_task(self._start(group), name="start watches")
            await stop.wait()
            for task in (starting, *self._tasks.values()):
                task.cancel()

    async def _start(self, group: asyncio.TaskGroup) -> None:
        while True:
            for key, resource in self._kinds.items():
                if key not in self._tasks:
                    task = group.create_task(self._keep(resource), name=f"watch {resource.plural}")
                    self._tasks[key] = task
            self._new.clear()
            await self._new.wait()

    async def _look(self, resource: Resource) -> None:
        await self._list(resource)

    async def _keep(self, resource: Resource) -> None:
        """Watch one kind for ever; start over from a list whenever a watch is lost."""
        delay = 0.2
        while True:
            try:
                version = await self._list(resource)
                await self._bus.up(self._kube.name)
                delay = 0.2
                while version:
                    version = await self._follow(resource, version)
            except TemporaryError as error:
                await self._bus.down(error)
                await asyncio.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
                delay = min(delay * 2, LONGEST)

    async def _list(self, resource: Resource) -> str:
        """Read all objects of a kind; return the version from which to watch."""
        there: set[str] = set()
        token, version = "", ""
        while True:
            params = {
                "limit": PAGE,
                **_selection(resource),
                **({"continue": token} if token else {}),
            }
            answer = await self._kube.get(
                resource.collection(), accept=_accept(resource, listing=True), **params
            )
            if not answer.ok:
                raise TemporaryError(self._kube.name, f"list {resource.plural}: {answer.reason}")
            for item in answer.body.get("items") or ():
                there.add(str(self._see(resource, item, gone=False)))
            metadata = answer.body["metadata"]
            token = str(metadata.get("continue", ""))
            version = str(metadata.get("resourceVersion", ""))
            if not token:
                break
        now = asyncio.get_running_loop().time()
        for seen in self._ledger.missing((resource.group, resource.kind), there, now):
            self._judge(seen)
        return version

    async def _follow(self, resource: Resource, version: str) -> str:
        """Watch from *version*; return where to go on, or nothing to start over from a list."""
        events = self._kube.watch(
            resource.collection(),
            accept=_accept(resource, listing=False),
            resourceVersion=version,
            allowWatchBookmarks="true",
            timeoutSeconds=str(random.randint(240, 360)),  # noqa: S311 - spread, no secret
            **_selection(resource),
        )
        async for event in events:
            item = event["object"]
            if event["type"] == "ERROR":
                logger.debug("watch ended", kind=resource.kind, reason=item.get("message"))
                return ""
            version = str(item["metadata"]["resourceVersion"])
            if event["type"] != "BOOKMARK":
                self._see(resource, item, gone=event["type"] == "DELETED")
        return version

    def _see(self, resource: Resource, item: Mapping[str, Any], *, gone: bool) -> ObjectId:
        metadata = item["metadata"]
        named = ObjectId(
            group=resource.group,
            kind=resource.kind,
            namespace=metadata.get("namespace", ""),
            name=metadata["name"],
        )
        now = asyncio.get_running_loop().time()
        self._judge(Seen.of(named, metadata, now, gone=gone))
        if resource.kind in KINDS:
            self._workload(named, None if gone else {"kind": resource.kind, **item})
        return named

    def _judge(self, seen: Seen) -> None:
        found = self._ledger.judge(seen)
        if found:
            sync, drift = found
            self._drift(sync, seen.id, drift)


def _selection(resource: Resource) -> Mapping[str, str]:
    return {} if resource.kind in KINDS else {"labelSelector": MARK}


def _accept(resource: Resource, *, listing: bool) -> str:
    if resource.kind in KINDS:
        return "application/json"
    return METADATA_LIST if listing else METADATA
