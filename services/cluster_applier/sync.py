"""
One sync on its cluster: compare, apply what differs, prune, and write the inventory last.

The inventory is what was applied. Before new objects are applied it is written with them, so that
none is ever forgotten; at the end with what became of all.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import structlog
from prometheus_client import Counter, Histogram

from services.cluster_applier.apply import Applying
from services.cluster_applier.discovery import Resource
from services.cluster_applier.domain.asked import Asked
from services.cluster_applier.domain.drift import TIMES, Drift, Drifts
from services.cluster_applier.domain.fence import Verdict, judge
from services.cluster_applier.domain.inventory import Applied, Inventory
from services.cluster_applier.domain.plan import Plan, Wanted, obsolete, plan
from services.cluster_applier.settings import SyncSettings
from services.cluster_applier.target import Target
from shared.bundle.format import Bundle, Entry
from shared.bundle.store import Shelf
from shared.bus.port import Bus
from shared.contract import (
    Draft,
    DriftContested,
    DriftCorrected,
    Message,
    ObjectResult,
    PollRequested,
    Problem,
    SyncCompleted,
    SyncRequested,
)
from shared.manifests import ObjectId

logger = structlog.get_logger(__name__)

OBJECTS = Counter("flux_cluster_applier_objects_total", "Objects by what was done", ["action"])
SECONDS = Histogram("flux_cluster_applier_sync_seconds", "Time to make a sync true")


class Sync:
    """Implements `ports.Syncing` for one sync."""

    def __init__(self, settings: SyncSettings, target: Target, bus: Bus) -> None:
        self._settings = settings
        self._target = target
        self._bus = bus
        self._shelf = Shelf(bus, settings.target, settings.name)
        self._inventory: Inventory | None = None
        self._drifts = Drifts()
        self._told: list[Message] = []
        """Corrections that wait to be told with the end of this look."""
        self._signalled: asyncio.Event = asyncio.Event()

    def see_drift(self, name: str, drift: Drift) -> None:
        """Note that an object differs; `run` asks for it to be put back."""
        if self._drifts.see(name, drift):
            self._signalled.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Ask on the bus for what drifted, until *stop*: one mechanism applies, and serially."""
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            while not stop.is_set():
                waiting = asyncio.create_task(self._signalled.wait(), name="drift")
                await asyncio.wait({stopping, waiting}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                if self._signalled.is_set():
                    self._signalled.clear()
                    await self._ask_again(tuple(self._drifts.pending))
        finally:
            stopping.cancel()

    async def reconcile(self, asked: Asked) -> tuple[Message, ...]:
        """Apply what differs; return what is to be told."""
        loop = asyncio.get_running_loop()
        begin, requests = loop.time(), self._target.kube.requests
        inventory = await self._known()
        bundle = await self._bundle(asked)
        verdict = judge(bundle.header, inventory) if bundle else Verdict.STALE
        if bundle is None or verdict is Verdict.STALE:
            await self._poll_again(bundle, inventory)
            return ()
        is_new = bundle.header.revision != inventory.revision
        if asked.person or is_new:
            self._drifts.forgive()
        if asked.tick:
            await self._target.watches.compare()
        applying, wanted, todo = await self._apply(bundle, inventory)
        reason = await self._prune(bundle, inventory, wanted, applying, verdict)
        await self._keep(bundle, inventory, applying)
        told, self._told = self._told, []
        if is_new or applying.results or asked.person:
            seconds = loop.time() - begin
            SECONDS.observe(seconds)
            completed = self._completed(bundle, applying, todo, reason)
            told.append(
                completed.model_copy(
                    update={
                        "seconds": seconds,
                        "requests": self._target.kube.requests - requests,
                    }
                )
            )
        return tuple(told)

    async def _known(self) -> Inventory:
        if self._inventory is None:
            self._inventory = await self._target.inventories.load(self._settings.name)
            self._target.ledger.claim(self._inventory)
            self._target.watches.ensure(await self._kinds(self._inventory))
        return self._inventory

    async def _bundle(self, asked: Asked) -> Bundle | None:
        """Return what is to be applied; for drift alone what was applied last is good enough."""
        if self._shelf.last and not asked.digest and not asked.tick:
            return self._shelf.last
        return await self._shelf.newest(asked.digest)

    async def _apply(
        self, bundle: Bundle, inventory: Inventory
    ) -> tuple[Applying, Sequence[Wanted], Plan]:
        applying = Applying(
            self._settings.name,
            self._target.kube,
            self._target.ledger,
            concurrency=self._target.settings.concurrency,
            answered=self._answered,
        )
        wanted, unknown = await self._wanted(bundle)
        todo = plan(wanted, inventory, self._drifts.pending.keys())
        await self._announce(inventory, todo)
        try:
            await applying.apply(todo.apply, bundle, dict(inventory.objects))
            if unknown:
                await self._apply_late(bundle, unknown, applying, inventory)
        except BaseException:
            # What was applied up to here is known, whatever ended us: nothing is applied twice.
            self._inventory = self._merged(self._inventory or inventory, applying)
            raise
        return applying, [*wanted, *unknown], todo

    async def _apply_late(
        self,
        bundle: Bundle,
        unknown: Sequence[Wanted],
        applying: Applying,
        inventory: Inventory,
    ) -> None:
        """Apply objects whose kind may have been defined a moment ago, or tell that it is not."""
        self._target.discovery.forget()
        now_known = []
        for one in unknown:
            found = await self._place(one.entry, bundle.header.default_namespace)
            if found is None:
                kind = f"{one.entry.object_id.group or 'core'}/{one.entry.version} {one.id.kind}"
                applying.refuse(
                    one, f"the cluster serves no {kind}; it is tried again when it is defined"
                )
            else:
                now_known.append(found[0])
        todo = plan(now_known, inventory, self._drifts.pending.keys())
        await applying.apply(todo.apply, bundle, dict(inventory.objects))

    async def _wanted(self, bundle: Bundle) -> tuple[list[Wanted], list[Wanted]]:
        """Return what is declared with its place in this cluster, and that of unknown kinds."""
        known, unknown, resources = [], [], set()
        for entry in bundle.header.index:
            found = await self._place(entry, bundle.header.default_namespace)
            if found is None:
                unknown.append(Wanted(id=entry.object_id, entry=entry, path=""))
            else:
                known.append(found[0])
                resources.add(found[1])
        self._target.watches.ensure(resources)
        return known, unknown

    async def _place(self, entry: Entry, default_namespace: str) -> tuple[Wanted, Resource] | None:
        named = entry.object_id
        resource = await self._target.discovery.find(named, entry.version)
        if resource is None:
            return None
        namespace = (named.namespace or default_namespace) if resource.namespaced else ""
        named = replace(named, namespace=namespace)
        path = resource.path(namespace, named.name)
        return Wanted(id=named, entry=entry, path=path), resource

    async def _announce(self, inventory: Inventory, todo: Plan) -> None:
        """Write down what is new before it is applied: a crash must not make us forget it."""
        new = {str(one.id): Applied() for one in todo.apply if str(one.id) not in inventory.objects}
        if new:
            await self._save(inventory.model_copy(update={"objects": {**inventory.objects, **new}}))

    async def _prune(
        self,
        bundle: Bundle,
        inventory: Inventory,
        wanted: Sequence[Wanted],
        applying: Applying,
        verdict: Verdict,
    ) -> str:
        """Delete what is declared no more; return why not, if not."""
        declared = {str(one.id) for one in wanted}
        gone = obsolete(self._inventory or inventory, declared, bundle.header.skipped)
        if not gone:
            return ""
        reason = self._reason_to_keep(bundle, applying, verdict)
        if reason:
            logger.warning("not pruned", sync=self._settings.name, reason=reason, objects=len(gone))
            return reason
        found = []
        for name, applied in gone:
            path = await self._path(ObjectId.parse(name))
            if path:
                found.append((name, path, applied))
        await applying.delete(found)
        return ""

    def _reason_to_keep(self, bundle: Bundle, applying: Applying, verdict: Verdict) -> str:
        if not self._settings.prune:
            return "prune is off for this sync"
        if bundle.header.problems:
            return f"{bundle.header.problems} parts of the desired state could not be read"
        if applying.failed:
            return "not everything could be applied"
        if verdict is Verdict.KEEP:
            return "it is not certain that this revision is newer than the one applied before"
        if not bundle.header.index:
            return "nothing at all is declared any more; delete by hand what is meant to go"
        return ""

    async def _path(self, named: ObjectId) -> str | None:
        resource = await self._target.discovery.preferred(named.group, named.kind)
        return resource.path(named.namespace, named.name) if resource else None

    async def _keep(self, bundle: Bundle, inventory: Inventory, applying: Applying) -> None:
        """Write the inventory, last of all, if it says anything new."""
        header = bundle.header
        merged = self._merged(self._inventory or inventory, applying).model_copy(
            update={
                "repository": header.repository,
                "revision": header.revision,
                "height": header.height,
                "generation": header.generation,
            }
        )
        if merged != self._inventory:
            await self._save(merged)

    def _merged(self, inventory: Inventory, applying: Applying) -> Inventory:
        objects = {**inventory.objects, **applying.applied}
        for name in applying.deleted:
            objects.pop(name, None)
        return inventory.model_copy(update={"objects": objects})

    async def _save(self, inventory: Inventory) -> None:
        try:
            await self._target.inventories.save(inventory)
        except BaseException:
            self._inventory = None  # read again what the cluster holds
            raise
        self._inventory = inventory

    async def _kinds(self, inventory: Inventory) -> set[Resource]:
        """Return the kinds of an inventory, for the watches."""
        kinds = {(named.group, named.kind) for named in map(ObjectId.parse, inventory.objects)}
        await self._target.discovery.find(ObjectId(group="", kind="", namespace="", name="-"), "")
        found = [await self._target.discovery.preferred(*kind) for kind in kinds]
        return {resource for resource in found if resource is not None}

    def _answered(self, name: str, version: int, late: Drift | None) -> None:
        """Note what applying an object put right, and what came after it."""
        now = asyncio.get_running_loop().time()
        corrected = self._drifts.correct(name, version, now)
        if corrected:
            self._told += self._corrections(name, corrected, now)
        if late:
            self.see_drift(name, late)

    def _corrections(self, name: str, corrected: tuple[Drift, bool], now: float) -> list[Message]:
        """Tell that an object was put back, and whether somebody insists."""
        drift, often = corrected
        seconds = now - drift.seen
        place = {"sync": self._settings.name, "target": self._settings.target, "id": name}
        logger.info("drift corrected", object=name, what=drift.what, manager=drift.manager)
        told: list[Message] = [
            DriftCorrected(**place, what=drift.what, manager=drift.manager, seconds=seconds)
        ]
        if often:
            logger.error("drift contested", object=name, manager=drift.manager)
            told.append(DriftContested(**place, manager=drift.manager, times=TIMES + 1))
        return told

    def _completed(
        self, bundle: Bundle, applying: Applying, todo: Plan, reason: str
    ) -> SyncCompleted:
        counts = {"unchanged": todo.unchanged} if todo.unchanged else {}
        for result in applying.results:
            counts[result.action] = counts.get(result.action, 0) + 1
        for action, count in counts.items():
            OBJECTS.labels(action).inc(count)
        logger.info(
            "applied", sync=self._settings.name, revision=bundle.header.revision[:12], **counts
        )
        return SyncCompleted(
            sync=self._settings.name,
            target=self._settings.target,
            repository=self._settings.repository,
            revision=bundle.header.revision,
            counts=counts,
            objects=tuple(applying.results),
            problems=self._problems(bundle, applying.results),
            pruned=not reason,
            prune_reason=reason,
        )

    def _problems(self, _: Bundle, results: Sequence[ObjectResult]) -> tuple[Problem, ...]:
        return tuple(
            Problem(file=one.file, line=one.line, message=f"{one.id}: {one.message}")
            for one in results
            if one.action == "failed"
        )

    async def _poll_again(self, bundle: Bundle | None, inventory: Inventory) -> None:
        """Ask git-watcher for a bundle: there is none, or only an old one."""
        logger.info(
            "no bundle to apply",
            sync=self._settings.name,
            bundle=bundle.header.revision[:12] if bundle else None,
            applied=inventory.revision[:12],
        )
        signal = PollRequested(repository=self._settings.repository, reason="again")
        await self._bus.publish(Draft(message=signal))

    async def _ask_again(self, objects: tuple[str, ...]) -> None:
        signal = SyncRequested(sync=self._settings.name, reason="drift", objects=objects)
        await self._bus.publish(Draft(message=signal))
