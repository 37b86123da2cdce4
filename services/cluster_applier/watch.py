"""
Watches everything of the kinds that we applied, and tells what differs the moment it does.

Of most kinds only the metadata travels, and only of objects that carry our mark. Workloads and
custom resources are watched whole: it is told how they do, too. Read `reading` for what is read.
"""

import asyncio
import random
from collections.abc import Collection, Mapping
from contextlib import aclosing
from typing import Any

import structlog

from services.cluster_applier.answers import Answer
from services.cluster_applier.discovery import Resource
from services.cluster_applier.domain.ledger import Ledger, Seen
from services.cluster_applier.domain.scaling import KINDS as SCALERS
from services.cluster_applier.kube import METADATA, Kube
from services.cluster_applier.reach import Reach
from services.cluster_applier.reading import (
    NotServedError,
    accepted,
    pages,
    refusal,
    selection,
)
from services.cluster_applier.showing import OnDrift, OnWorkload, Showing
from shared.bus.port import Bus
from shared.manifests import ObjectId
from shared.runtime.errors import TemporaryError
from shared.runtime.tasks import each

logger = structlog.get_logger(__name__)

FIRST = 0.2
LONGEST = 30.0
"""Seconds between two tries of a watch that fails, first and at most."""
LASTED = 5.0
"""Seconds after which a watch counts as one that works."""
MANY = 8
"""From more objects on their kinds are listed."""
SHARED = 5.0
"""Several who look within so many seconds share a look at the autoscalers."""
FRESH = 120.0
"""A tick does not look at a kind again that was looked at so many seconds ago, or less than half
of its interval."""


class Watches:
    """One watch for each kind; more kinds are added as they are applied."""

    def __init__(
        self, kube: Kube, ledger: Ledger, bus: Bus, *, drift: OnDrift, workload: OnWorkload
    ) -> None:
        self._kube = kube
        self._showing = Showing(ledger, drift, workload)
        self._kinds: dict[tuple[str, str], Resource] = {}
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._new = asyncio.Event()
        self.reach = Reach(bus)
        """Of all that is done for the whole target."""
        self._refused: set[tuple[str, str]] = set()
        """Kinds that can't be read though the cluster is there: they are told already."""
        self._looked: dict[tuple[str, str], float] = {}
        """When the last whole look at a kind began, on the loop's clock."""
        self._turns: dict[tuple[str, str], asyncio.Lock] = {}

    def ensure(self, resources: Collection[Resource]) -> None:
        """Watch these kinds from now on, too."""
        for resource in resources:
            if resource.listed and resource.key not in self._kinds:
                self._kinds[resource.key] = resource
                self._new.set()

    async def compare(
        self, *, at_most: float = FRESH, only: Collection[tuple[str, str]] = ()
    ) -> None:
        """Look at every kind that was not looked at for *at_most* seconds; a list a kind."""
        asked = asyncio.get_running_loop().time() - at_most
        wanted = [one for one in self._kinds.values() if not only or one.key in only]
        kinds = [one for one in wanted if one.key not in self._refused]
        if kinds:
            await each(
                kinds, lambda one: self._look(one, asked), at_once=len(kinds), name="compare"
            )

    async def look_at(self, names: Collection[str]) -> None:
        """Look at these objects of ours now; where they are many, at all of their kinds."""
        found = {name: ObjectId.parse(name) for name in names}
        if found:
            await self.compare(at_most=SHARED, only=SCALERS)
        if len(found) > MANY:
            await self.compare(at_most=0.0, only={(one.group, one.kind) for one in found.values()})
        elif found:
            await each(found.values(), self._look_at, at_once=len(found), name="look at")

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until *stop*."""
        self._tasks.clear()
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

    async def _look(self, resource: Resource, asked: float) -> None:
        """List a kind, unless somebody did since *asked*: many who ask together share a look."""
        async with self._turns.setdefault(resource.key, asyncio.Lock()):
            if self._looked.get(resource.key, float("-inf")) < asked:
                try:
                    await self._list(resource)
                except NotServedError as error:
                    logger.debug("kind not compared", kind=resource.kind, reason=str(error))
                except TemporaryError as error:
                    if error.dependency == self._kube.name:
                        raise
                    # Its watch tells it; other kinds, and the sync, go on.
                    logger.debug("kind not compared", kind=resource.kind, reason=error.reason)

    async def _look_at(self, named: ObjectId) -> None:
        resource = self._kinds.get(named.key)
        if resource is None:
            return
        path = resource.path(named.namespace, named.name)
        answer = await self._kube.look(path, accept=METADATA)
        if answer.ok or answer.status == 404:
            now = asyncio.get_running_loop().time()
            self._showing.judge(Seen.of(named, answer.metadata, now, gone=not answer.ok))

    async def _keep(self, resource: Resource) -> None:
        """Watch one kind for as long as it is served; start from a list where a watch is lost."""
        loop = asyncio.get_running_loop()
        version, delay, who, returns = "", FIRST, resource.collection(), self.reach.returns
        while True:
            begun = loop.time()
            try:
                version = version or await self._listed(resource)
                version = await self._follow(resource, version)
            except NotServedError as error:
                logger.info("kind not watched", kind=resource.kind, reason=str(error))
                await self.reach.found(who)
                self._showing.missing(resource, ())
                self._forget(resource)
                return
            except TemporaryError as error:
                version = ""
                if error.dependency != self._kube.name:
                    self._refused.add(resource.key)
                await self.reach.lost(who, error)
            # Also a watch that the server ends at once must not become a storm.
            delay = FIRST if loop.time() - begun > LASTED else delay
            if self.reach.returns != returns:  # somebody else got through meanwhile
                returns, delay = self.reach.returns, FIRST
            await self.reach.rest(delay * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
            delay = min(delay * 2, LONGEST)

    def _forget(self, resource: Resource) -> None:
        """Let the kind be watched anew when it is applied again, in whichever version then."""
        del self._kinds[resource.key], self._tasks[resource.key]

    async def _listed(self, resource: Resource) -> str:
        async with self._turns.setdefault(resource.key, asyncio.Lock()):
            return await self._list(resource)

    async def _list(self, resource: Resource) -> str:
        """
        Read all objects of a kind; return the version from which to watch.

        Raises:
            NotServedError: there is no such kind any more.
            TemporaryError: it can't be read now; of one kind only where the cluster is there.
        """
        begun = asyncio.get_running_loop().time()
        there: set[str] = set()
        metadata: Mapping[str, Any] = {}
        async with aclosing(pages(self._kube, resource)) as read:
            async for body in read:
                for item in body.get("items") or ():
                    there.add(str(self._showing.see(resource, item, gone=False)))
                metadata = body.get("metadata") or {}
        version = str(metadata.get("resourceVersion", ""))
        self._showing.missing(resource, there, version)
        self._looked[resource.key] = begun
        return version

    async def _follow(self, resource: Resource, version: str) -> str:
        """Watch from *version*; return where to go on, or nothing to start over from a list."""
        events = self._kube.watch(
            resource.collection(),
            accept=accepted(resource, listing=False),
            resourceVersion=version,
            allowWatchBookmarks="true",
            timeoutSeconds=str(random.randint(240, 360)),  # noqa: S311 - spread, no secret
            **selection(resource),
        )
        async with aclosing(events):
            async for event in events:
                if event.type == "ERROR":
                    reason, code = event.object.get("message"), event.object.get("code")
                    logger.debug("watch ended", kind=resource.kind, reason=reason)
                    if code in {403, 404}:
                        refused = Answer(status=int(code), body={"message": reason})
                        raise refusal(self._kube, "watch", resource, refused)
                    return ""
                if event.type == "BEGUN":
                    self._refused.discard(resource.key)
                    await self.reach.found(resource.collection())
                    continue
                version = str(event.object["metadata"]["resourceVersion"])
                if event.type != "BOOKMARK":
                    gone = event.type == "DELETED"
                    self._showing.see(resource, event.object, gone=gone)
        return version
