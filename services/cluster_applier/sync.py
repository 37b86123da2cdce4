"""
One sync on its cluster: compare, apply what differs, prune, and write the inventory last.

The inventory is what was applied. Before new objects are applied it is written with them, so that
none is ever forgotten; at the end with what became of all.
"""

import asyncio
from dataclasses import dataclass

import structlog
from prometheus_client import Counter, Histogram

from services.cluster_applier import placing
from services.cluster_applier.apply import Applying
from services.cluster_applier.domain import telling
from services.cluster_applier.domain.asked import Asked
from services.cluster_applier.domain.drift import Drift, Drifts
from services.cluster_applier.domain.fence import Verdict, judge
from services.cluster_applier.domain.inventory import Applied, Inventory
from services.cluster_applier.domain.plan import Plan, obsolete, plan, reason_to_keep
from services.cluster_applier.settings import SyncSettings
from services.cluster_applier.target import Target
from shared.bundle.format import Bundle
from shared.bundle.store import Shelf
from shared.bus.port import Bus
from shared.contract import (
    Draft,
    Message,
    PollRequested,
    SyncCompleted,
    SyncFailed,
    SyncRequested,
)
from shared.manifests import ObjectId
from shared.runtime.lifecycle import unless_stopped

logger = structlog.get_logger(__name__)

OBJECTS = Counter("flux_cluster_applier_objects_total", "Objects by what was done", ["action"])
SECONDS = Histogram("flux_cluster_applier_sync_seconds", "Time to make a sync true")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Applied:
    """What a bundle declares here, and how much of it was so already."""

    declared: frozenset[str]
    unchanged: int


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
        self._doubted = ""
        """The digest of a bundle that may be an old one: a poll was asked for to confirm it."""
        self._signalled: asyncio.Event = asyncio.Event()

    def see_drift(self, name: str, drift: Drift) -> None:
        """Note that an object differs; `run` asks for it to be put back."""
        if self._drifts.see(name, drift):
            self._signalled.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Ask on the bus for what drifted, until *stop*: one mechanism applies, and serially."""
        while not stop.is_set():
            async with unless_stopped(stop):
                await self._signalled.wait()
            if self._signalled.is_set():
                self._signalled.clear()
                await self._ask_again(tuple(self._drifts.pending))

    async def reconcile(self, asked: Asked) -> tuple[Message, ...]:
        """Apply what differs; return what is to be told."""
        loop = asyncio.get_running_loop()
        begin, requests = loop.time(), self._target.kube.requests
        inventory = await self._known()
        bundle = await self._bundle(asked)
        if bundle is None:
            await self._poll_again("there is none yet")
            return ()
        verdict = await self._verdict(bundle, inventory, asked)
        if verdict is Verdict.STALE:
            return ()
        is_new = bundle.header.revision != inventory.revision
        if asked.person or is_new:
            self._drifts.forgive()
        if asked.tick:
            await self._target.watches.compare()
        applying = self._applying()
        applied = await self._apply(bundle, inventory, applying)
        kept = await self._prune(bundle, inventory, applying, applied.declared, verdict)
        await self._keep(bundle, inventory, applying)
        told, self._told = self._told, []
        if is_new or applying.results or asked.person:
            done = self._completed(bundle, applying, applied.unchanged, kept)
            spent = {
                "seconds": loop.time() - begin,
                "requests": self._target.kube.requests - requests,
            }
            SECONDS.observe(spent["seconds"])
            told.append(done.model_copy(update=spent))
        return tuple(told)

    def failed(self, reason: str) -> SyncFailed:
        """Return what is to be told where nothing could be done."""
        logger.error("sync failed", sync=self._settings.name, reason=reason)
        revision = self._shelf.last.header.revision if self._shelf.last else ""
        return SyncFailed(
            sync=self._settings.name,
            target=self._settings.target,
            revision=revision,
            reason=reason,
        )

    async def _known(self) -> Inventory:
        if self._inventory is None:
            self._inventory = await self._target.inventories.load(self._settings.name)
            self._target.ledger.claim(self._inventory)
            kinds = await placing.resources(self._inventory.objects, self._target.discovery)
            self._target.watches.ensure(kinds)
        return self._inventory

    def _applying(self) -> Applying:
        return Applying(
            self._settings.name,
            self._target.kube,
            self._target.ledger,
            concurrency=self._target.settings.concurrency,
            answered=self._answered,
        )

    async def _verdict(self, bundle: Bundle, inventory: Inventory, asked: Asked) -> Verdict:
        """Judge a bundle; one in doubt counts once a fresh poll has declared it again."""
        verdict = judge(bundle.header, inventory)
        if verdict is Verdict.GO:
            self._doubted = ""
        elif self._doubted != bundle.digest:
            self._doubted = bundle.digest
            await self._poll_again(f"{bundle.header.revision[:12]} may be an old one")
        elif asked.digest == bundle.digest:
            return Verdict.GO
        return verdict

    async def _bundle(self, asked: Asked) -> Bundle | None:
        """Return what is to be applied; for drift alone what was applied last is good enough."""
        if self._shelf.last and not asked.digest and not asked.tick:
            return self._shelf.last
        return await self._shelf.newest(asked.digest)

    async def _apply(self, bundle: Bundle, inventory: Inventory, applying: Applying) -> _Applied:
        """Apply what differs, new kinds last; what was done is remembered whatever ends us."""
        discovery = self._target.discovery
        found = await placing.placed(bundle, discovery)
        self._target.watches.ensure(set(found.resources))
        todo = plan(found.known, inventory, self._drifts.pending.keys())
        await self._announce(inventory, todo)
        known = dict(inventory.objects)
        try:
            await applying.apply(todo.apply, bundle, known)
            if found.unknown:
                late = await placing.placed_late(bundle, found.unknown, discovery)
                new = plan(late.known, inventory, self._drifts.pending.keys())
                await applying.apply(new.apply, bundle, known)
                applying.refuse_unknown(late.unknown)
        except BaseException:
            self._inventory = self._merged(self._inventory or inventory, applying)
            raise
        declared = frozenset(str(one.id) for one in (*found.known, *found.unknown))
        return _Applied(declared=declared, unchanged=todo.unchanged)

    async def _announce(self, inventory: Inventory, todo: Plan) -> None:
        """Write down what is new before it is applied: a crash must not make us forget it."""
        new = {str(one.id): Applied() for one in todo.apply if str(one.id) not in inventory.objects}
        if new:
            await self._save(inventory.model_copy(update={"objects": {**inventory.objects, **new}}))

    async def _prune(
        self,
        bundle: Bundle,
        inventory: Inventory,
        applying: Applying,
        declared: frozenset[str],
        verdict: Verdict,
    ) -> str:
        """Delete what is declared no more; return why not, if not."""
        gone = obsolete(self._inventory or inventory, declared, bundle.header.skipped)
        reason = "" if not gone else self._reason_to_keep(bundle, applying, verdict)
        if reason:
            logger.warning("not pruned", sync=self._settings.name, reason=reason, objects=len(gone))
            return reason
        for name, applied in gone:
            where = await placing.path(ObjectId.parse(name), self._target.discovery)
            if where:
                await applying.delete(name, where, applied)
        return ""

    def _reason_to_keep(self, bundle: Bundle, applying: Applying, verdict: Verdict) -> str:
        return reason_to_keep(
            prune=self._settings.prune,
            problems=bundle.header.problems,
            failed=applying.failed,
            certain=verdict is Verdict.GO,
            declared=len(bundle.header.index),
        )

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

    def _answered(self, name: str, version: int, late: Drift | None) -> None:
        """Note what applying an object put right, and what came after it."""
        now = asyncio.get_running_loop().time()
        corrected = self._drifts.correct(name, version, now)
        if corrected:
            drift, contested = corrected
            self._told += telling.corrected(
                self._settings.name,
                self._settings.target,
                name,
                drift,
                contested=contested,
                now=now,
            )
            tell = logger.error if contested else logger.info
            tell("drift corrected", object=name, what=drift.what, manager=drift.manager)
        if late:
            self.see_drift(name, late)

    def _completed(
        self, bundle: Bundle, applying: Applying, unchanged: int, kept: str
    ) -> SyncCompleted:
        done = telling.completed(bundle.header, applying.results, unchanged=unchanged, kept=kept)
        for action, count in done.counts.items():
            OBJECTS.labels(action).inc(count)
        logger.info("applied", sync=done.sync, revision=done.revision[:12], **done.counts)
        return done

    async def _poll_again(self, why: str) -> None:
        """Ask git-watcher for the bundle of the head."""
        logger.info("asking for a bundle", sync=self._settings.name, why=why)
        signal = PollRequested(repository=self._settings.repository, reason="again")
        await self._bus.publish(Draft(message=signal))

    async def _ask_again(self, objects: tuple[str, ...]) -> None:
        signal = SyncRequested(sync=self._settings.name, reason="drift", objects=objects)
        await self._bus.publish(Draft(message=signal))
