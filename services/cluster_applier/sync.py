"""
One sync on its cluster: compare, apply what differs, prune, and write the inventory last.

The inventory is what was applied. Before new objects are applied it is written with them, so that
none is ever forgotten; at the end with what became of all. Read `declared` for which bundle is
applied, `deploying` for how, `retiring` for what goes.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence

import structlog
from prometheus_client import Counter, Histogram

from services.cluster_applier.books import Books
from services.cluster_applier.declared import Declared
from services.cluster_applier.decrypting import Unread
from services.cluster_applier.deploying import Deploying
from services.cluster_applier.diffing import Diffing
from services.cluster_applier.domain import telling
from services.cluster_applier.domain.asked import Asked
from services.cluster_applier.domain.fence import Verdict
from services.cluster_applier.domain.inventory import Inventory
from services.cluster_applier.drifting import Drifting
from services.cluster_applier.holding import Holding
from services.cluster_applier.inventory_store import JUST_NOW
from services.cluster_applier.look import Look
from services.cluster_applier.ports import Tell
from services.cluster_applier.retiring import Retiring
from services.cluster_applier.settings import SyncSettings
from services.cluster_applier.target import Target
from services.cluster_applier.waiting import Waiting
from services.cluster_applier.watch import FRESH
from shared.bus.port import Bus
from shared.contract import (
    DiffMade,
    Draft,
    Message,
    SuspendRequested,
    SyncCompleted,
    SyncFailed,
    SyncRequested,
)

logger = structlog.get_logger(__name__)

OBJECTS = Counter("flux_cluster_applier_objects_total", "Objects by what was done", ["action"])
SECONDS = Histogram("flux_cluster_applier_sync_seconds", "Time to make a sync true")


AT_ONCE = 5.0
"""Many syncs that begin together share one look that is so fresh, in seconds."""


class Sync:
    """Implements `ports.Syncing` for one sync."""

    def __init__(
        self, settings: SyncSettings, target: Target, bus: Bus, others: Mapping[str, "Sync"]
    ) -> None:
        self.drifting = Drifting(settings.name, settings.target, bus)
        self.waiting = Waiting(settings.name, target.kube, bus, deadline=settings.deadline)
        self._settings = settings
        self._target = target
        self._bus = bus
        self._others = others
        self._declared = Declared(settings, bus, target.opener)
        self._books = Books(settings.name, target, settings.removal)
        self._holding = Holding(settings, others)
        self._kube = target.kube.acting_as(settings.service_account)
        self._deploying = Deploying(settings, self._kube, target, self._books, self.drifting)
        self._diffing = Diffing(self._kube, target, self._deploying)
        self._retiring = Retiring(settings, self._kube, target, self._books, bus)
        self._unread: Sequence[Unread] = ()
        """Of encrypted files, as it was told last."""
        target.siblings.join(settings.name, self._declared.shelf)

    async def reconcile(self, asked: Asked, tell: Tell) -> None:
        """Apply what differs, unless the sync is held; tell what came of it."""
        begun = asyncio.get_running_loop().time(), self._target.kube.requests
        await self._books.unmark()
        inventory = await self._books.known()
        if inventory.suspended:
            await self._books.confirm(at_most=JUST_NOW)  # another replica may have resumed it
            revision = self._declared.revision
            await tell(self._holding.hold(inventory.suspended, revision, suspended=True))
            return
        bundle, verdict = await self._declared.judged(asked, inventory)
        if bundle is None or verdict is Verdict.STALE:
            return
        waits = await self._holding.waits(bundle.header)
        held = self._holding.hold(waits, bundle.header.revision)
        if waits:
            self.drifting.ended((), unfinished=True)
            await tell(held)
            return
        is_new = bundle.header.revision != inventory.revision
        await self._prepare(asked, is_new=is_new, is_empty=not inventory.objects)
        self._retiring.allow(asked.allow_prune)
        opened = await self._target.decrypting.opened(bundle, at_most=0.0)
        applying = self._deploying.round(opened, inventory)
        pruning = self._retiring.round()
        look = Look(
            bundle=opened.bundle,
            verdict=verdict,
            applying=applying,
            pruning=pruning,
            lost=inventory.lost,
        )
        await self._deploying.deploy(look, inventory)
        await self._retiring.retire(look)
        look.news = is_new or look.changed or asked.person or opened.unread != self._unread
        ready, done = self._ended(look, inventory, begun)
        self._end(look)
        told, self.drifting.told = self.drifting.told, []
        # Told before the inventory says that it was: who dies in between tells it once more.
        await tell([*held, *told, *done])
        self._unread = opened.unread
        await self._books.keep(look, ready=ready)
        if ready and inventory.ready != bundle.header.revision:
            await self._wake_dependents()

    async def suspend(self, order: SuspendRequested) -> None:
        """Let the sync rest, or go on."""
        user, message = order.cause.user or "somebody", order.cause.message
        reason = f"suspended by {user}" + (f": {message}" if message else "")
        await self._books.suspend(reason if order.suspended else "")

    async def diff(self) -> DiffMade:
        """Return what applying the sync would change now."""
        inventory = await self._books.known()
        bundle = await self._declared.shelf.newest()
        if bundle is None:
            return DiffMade(error=f"nothing is declared yet by the sync {self._settings.name}")
        await self._target.watches.compare(at_most=0.0)
        return await self._diffing.diff(await self._target.decrypting.opened(bundle), inventory)

    async def standing(self) -> Inventory:
        """Return what the cluster says of the sync now, whoever works on it."""
        return await self._target.inventories.standing(self._settings.name)

    def _ended(
        self, look: Look, inventory: Inventory, begun: tuple[float, int]
    ) -> tuple[bool, Sequence[Message]]:
        """Return whether the revision is ready, and what is to be told of it now, if anything."""
        revision, over = look.header.revision, self.waiting.over(look.header.revision)
        failed, waits = look.applying.failed, self._settings.wait
        if failed:
            self.waiting.stop()
        was_ready = inventory.ready == revision and not look.changed
        ready = not failed and (not waits or was_ready or bool(over and over.healthy))
        if failed or not waits:
            return ready, [self._with_cost(self._completed(look), *begun)] if look.news else []
        if over and not look.news:
            return ready, [over]
        if look.news or not (ready or self.waiting.waits(revision)):
            done = self._with_cost(self._completed(look), *begun)
            self.waiting.begin(done, look.placed.known)
        return ready, []

    async def _wake_dependents(self) -> None:
        for name, other in self._others.items():
            if self._settings.name in other.depends_on:
                await self._bus.publish(Draft(message=SyncRequested(sync=name, reason="again")))

    @property
    def place(self) -> asyncio.Semaphore:
        """One of those that its target has for what is worked on; taken while it is."""
        return self._target.places

    @property
    def depends_on(self) -> Collection[str]:
        """The syncs that must be ready before."""
        return self._settings.depends_on

    def failed(self, reason: str) -> SyncFailed:
        """Return what is to be told where nothing could be done."""
        logger.error("sync failed", sync=self._settings.name, reason=reason)
        return SyncFailed(
            sync=self._settings.name,
            target=self._settings.target,
            revision=self._declared.revision,
            reason=reason,
        )

    async def _prepare(self, asked: Asked, *, is_new: bool, is_empty: bool) -> None:
        """
        Begin anew where a person or a new revision decides; compare all where it is time.

        What is *first* looked at may have been worked on by a process that could not say so.
        """
        is_first = self._settings.name not in self._target.here and not is_empty
        self._target.here.add(self._settings.name)
        if asked.person or is_new:
            self.drifting.drifts.forgive()
        if asked.person:
            self._deploying.forgive()
        with self.drifting.quiet():
            if asked.tick or is_first:
                once = min(FRESH, self._settings.interval / 2)
                fresh = 0.0 if asked.person else AT_ONCE if is_first else once
                await self._target.watches.compare(at_most=fresh)
            # Who watches told it; that is seen with our own eyes before anything is done.
            await self._target.watches.look_at(asked.drifted - self.drifting.drifts.pending.keys())

    def _end(self, look: Look) -> None:
        """Note what is not to be put back, and what is to be tried again soon."""
        if look.applying.unserved:
            self._target.discovery.expire()
        self._target.live.owned(look.applying.applied)
        left = {one.id for one in look.applying.held} | look.applying.refused.keys()
        declared = look.declared
        left |= {name for name in self.drifting.drifts.pending if name not in declared}
        self.drifting.ended(left, unfinished=look.unfinished, at_least=look.applying.retry_after)

    def _completed(self, look: Look) -> SyncCompleted:
        done = telling.completed(
            look.header, look.results, unchanged=look.unchanged, kept=look.kept, held=look.held
        )
        for action, count in done.counts.items():
            OBJECTS.labels(action).inc(count)
        logger.info("applied", sync=done.sync, revision=done.revision[:12], **done.counts)
        return done

    def _with_cost(self, done: SyncCompleted, begin: float, requests: int) -> SyncCompleted:
        seconds = asyncio.get_running_loop().time() - begin
        SECONDS.observe(seconds)
        cost = {"seconds": seconds, "requests": self._target.kube.requests - requests}
        return done.model_copy(update=cost)
