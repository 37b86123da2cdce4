"""
One sync on its cluster: compare, apply what differs, prune, and write the inventory last.

The inventory is what was applied. Before new objects are applied it is written with them, so that
none is ever forgotten; at the end with what became of all.
"""

import asyncio
from dataclasses import replace

import structlog
from prometheus_client import Counter, Histogram

from services.cluster_applier import placing
from services.cluster_applier.apply import Applying, Asking
from services.cluster_applier.books import Books
from services.cluster_applier.domain import telling
from services.cluster_applier.domain.asked import Asked
from services.cluster_applier.domain.fence import Verdict, judge
from services.cluster_applier.domain.inventory import Applied, Inventory
from services.cluster_applier.domain.plan import Plan, Wanted, obsolete, plan, reason_to_keep
from services.cluster_applier.domain.pruning import is_flux_own
from services.cluster_applier.drifting import Drifting
from services.cluster_applier.placing import Placed
from services.cluster_applier.prune import Pruning
from services.cluster_applier.settings import SyncSettings
from services.cluster_applier.target import Target
from services.cluster_applier.watch import FRESH
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

logger = structlog.get_logger(__name__)

OBJECTS = Counter("flux_cluster_applier_objects_total", "Objects by what was done", ["action"])
SECONDS = Histogram("flux_cluster_applier_sync_seconds", "Time to make a sync true")


class Sync:
    """Implements `ports.Syncing` for one sync."""

    def __init__(self, settings: SyncSettings, target: Target, bus: Bus) -> None:
        self.drifting = Drifting(settings.name, settings.target, bus)
        self._settings = settings
        self._target = target
        self._bus = bus
        self._shelf = Shelf(bus, settings.target, settings.name)
        self._books = Books(settings.name, target)
        self._doubted = ""
        """The digest of a bundle that may be an old one: a poll was asked for to confirm it."""
        self._refused: dict[str, tuple[str, str]] = {}
        """By object id: digest and reason of what the API server will never take."""
        self._kept = ""
        """Why nothing was pruned, as it was logged last."""
        self._placed: tuple[tuple[str, int], Placed] | None = None
        target.siblings.join(settings.name, self._shelf)

    async def reconcile(self, asked: Asked) -> tuple[Message, ...]:
        """Apply what differs; return what is to be told."""
        begun = asyncio.get_running_loop().time(), self._target.kube.requests
        inventory = await self._books.known()
        bundle, verdict = await self._judged(asked, inventory)
        if bundle is None or verdict is Verdict.STALE:
            return ()
        is_new = bundle.header.revision != inventory.revision
        await self._look(asked, is_new=is_new)
        applying, pruning = self._applying(bundle, inventory), self._pruning()
        found, unchanged = await self._apply(bundle, inventory, applying)
        kept = await self._pruned(bundle, applying, pruning, found, verdict)
        await self._books.keep(bundle.header, applying, pruning)
        self._end(applying, pruning, _ids(found))
        told, self.drifting.told = self.drifting.told, []
        if is_new or applying.results or pruning.results or asked.person:
            done = self._completed(bundle, applying, pruning, unchanged, kept)
            told.append(self._with_cost(done, *begun))
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

    def _applying(self, bundle: Bundle, inventory: Inventory) -> Applying:
        async def still_ours() -> None:
            await self._target.inventories.confirm(self._settings.name)

        async def gives(name: str, owner: str) -> bool:
            return not await self._target.siblings.declares(owner, name, bundle.header)

        answered = self.drifting.answered
        return Applying(
            self._settings.name,
            self._target.kube,
            self._target.ledger,
            bundle,
            inventory.objects,
            asking=Asking(answered=answered, still_ours=still_ours, gives=gives),
            carried=self._books.carried,
        )

    def _pruning(self) -> Pruning:
        return Pruning(
            self._target.kube,
            self._target.discovery,
            self._target.ledger,
            at_once=self._target.settings.concurrency,
            namespace=self._target.settings.namespace,
        )

    async def _judged(self, asked: Asked, inventory: Inventory) -> tuple[Bundle | None, Verdict]:
        """Return the bundle that there is, and whether it may be applied."""
        bundle = await self._bundle(asked)
        if bundle is None:
            await self._poll_again("there is none yet")
            return None, Verdict.STALE
        return bundle, await self._verdict(bundle, inventory, asked)

    async def _look(self, asked: Asked, *, is_new: bool) -> None:
        """Begin anew where a person or a new revision decides; compare all where it is time."""
        if asked.person or is_new:
            self.drifting.drifts.forgive()
        if asked.person:
            self._refused.clear()
        if asked.tick:
            await self._target.watches.compare(at_most=0.0 if asked.person else FRESH)

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
        """
        Return what is to be applied; where nobody names another, what was applied last.

        Reading to the end of the stream takes a quarter of a second; for a timer nobody waits.
        """
        if self._shelf.last and not asked.digest and not asked.timer:
            return self._shelf.last
        return await self._shelf.newest(asked.digest)

    async def _apply(
        self, bundle: Bundle, inventory: Inventory, applying: Applying
    ) -> tuple[Placed, int]:
        """Apply what differs, new kinds last; what was done is remembered whatever ends us."""
        found = await self._place(bundle)
        self._target.watches.ensure(set(found.resources))
        todo = self._todo(found, inventory, applying)
        await self._books.announce(todo)
        at_once = self._target.settings.concurrency
        self.drifting.at_once = applying.correct
        try:
            await applying.apply(todo.apply, at_once, unchanged=found.known)
            if found.unknown:
                late = await placing.placed_late(bundle, found.unknown, self._target.discovery)
                self._target.watches.ensure(set(late.resources))
                new = self._todo(late, inventory, applying)
                await self._books.announce(new)
                await applying.apply(new.apply, at_once)
                applying.refuse_unknown(late.unknown)
                found = found.joined(late)
        except BaseException:
            self._books.remember(applying)
            raise
        finally:
            self.drifting.at_once = lambda _: False
        return found, todo.unchanged

    async def _place(self, bundle: Bundle) -> Placed:
        discovery = self._target.discovery
        key = bundle.digest, discovery.generation
        if self._placed is None or self._placed[0] != key or self._placed[1].unknown:
            found = await placing.placed(bundle, discovery)
            self._placed = (bundle.digest, discovery.generation), found
        return self._placed[1]

    def _todo(self, found: Placed, inventory: Inventory, applying: Applying) -> Plan:
        """Return what to apply, without what is Flux's own or was refused for ever."""
        todo = plan(found.known, inventory, self.drifting.drifts.pending.keys())
        reasons = {str(one.id): self._reason_to_hold(one) for one in todo.apply}
        for one in todo.apply:
            if reasons[str(one.id)]:
                applying.hold(one, "failed", reasons[str(one.id)])
        return replace(todo, apply=tuple(one for one in todo.apply if not reasons[str(one.id)]))

    def _reason_to_hold(self, one: Wanted) -> str:
        if one.id.kind == "ConfigMap" and is_flux_own(one.id, self._target.settings.namespace):
            return "Flux keeps an inventory under this name; rename it"
        digest, reason = self._refused.get(str(one.id), ("", ""))
        same = digest == one.entry.digest and str(one.id) not in self.drifting.drifts.pending
        return reason if same else ""

    async def _pruned(
        self,
        bundle: Bundle,
        applying: Applying,
        pruning: Pruning,
        found: Placed,
        verdict: Verdict,
    ) -> str:
        """Delete what is declared no more; return why not, if not."""
        inventory = await self._books.known()
        gone = obsolete(inventory, _ids(found), bundle.header.skipped)
        kept = self._reason_to_keep(bundle, applying, verdict) if gone else ""
        if gone and not kept:
            kept = await self._prune(bundle, applying, pruning, gone)
        if kept and kept != self._kept:
            logger.warning("not pruned", sync=bundle.header.sync, reason=kept, objects=len(gone))
        self._kept = kept
        return kept

    async def _prune(
        self, bundle: Bundle, applying: Applying, pruning: Pruning, gone: list[tuple[str, Applied]]
    ) -> str:
        """Delete what is *gone* from git; return why not, if not."""
        siblings = self._target.siblings
        moved, late = await siblings.wanting(bundle.header, [name for name, _ in gone])
        if late:
            pruning.unfinished = True
            return f"the sync {late} was not read at this revision yet; objects may move there"
        try:
            await self._target.inventories.confirm(self._settings.name)
            pruning.give(moved)
            await pruning.delete((name, one) for name, one in gone if name not in moved)
        except BaseException:
            self._books.remember(applying, pruning)
            raise
        for sync in set(moved.values()):
            await self._bus.publish(Draft(message=SyncRequested(sync=sync, reason="again")))
        return ""

    def _reason_to_keep(self, bundle: Bundle, applying: Applying, verdict: Verdict) -> str:
        return reason_to_keep(
            prune=self._settings.prune,
            problems=bundle.header.problems,
            failed=applying.failed,
            certain=verdict is Verdict.GO,
            declared=len(bundle.header.index),
        )

    def _end(self, applying: Applying, pruning: Pruning, declared: frozenset[str]) -> None:
        """Note what is not to be put back, and what is to be tried again soon."""
        self._refused |= applying.refused
        if applying.unserved:
            self._target.discovery.expire()
        self._target.live.owned(applying.applied)
        left = {one.id for one in applying.held} | applying.refused.keys()
        left |= {name for name in self.drifting.drifts.pending if name not in declared}
        unfinished = applying.unfinished or pruning.unfinished
        self.drifting.ended(left, unfinished=unfinished)

    def _completed(
        self, bundle: Bundle, applying: Applying, pruning: Pruning, unchanged: int, kept: str
    ) -> SyncCompleted:
        results = [*applying.results, *applying.held, *pruning.results, *pruning.kept]
        done = telling.completed(bundle.header, results, unchanged=unchanged, kept=kept)
        for action, count in done.counts.items():
            OBJECTS.labels(action).inc(count)
        logger.info("applied", sync=done.sync, revision=done.revision[:12], **done.counts)
        return done

    def _with_cost(self, done: SyncCompleted, begin: float, requests: int) -> SyncCompleted:
        seconds = asyncio.get_running_loop().time() - begin
        SECONDS.observe(seconds)
        cost = {"seconds": seconds, "requests": self._target.kube.requests - requests}
        return done.model_copy(update=cost)

    async def _poll_again(self, why: str) -> None:
        """Ask git-watcher for the bundle of the head."""
        logger.info("asking for a bundle", sync=self._settings.name, why=why)
        signal = PollRequested(repository=self._settings.repository, reason="again")
        await self._bus.publish(Draft(message=signal))


def _ids(found: Placed) -> frozenset[str]:
    return frozenset(str(one.id) for one in (*found.known, *found.unknown))
