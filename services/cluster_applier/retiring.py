"""What a sync declares no more: whether it may go now, and its end."""

from collections.abc import Iterable, Mapping

import structlog

from services.cluster_applier.books import Books
from services.cluster_applier.domain.brake import ALLOW, reason_to_hold
from services.cluster_applier.domain.fence import Verdict
from services.cluster_applier.domain.inventory import Applied
from services.cluster_applier.domain.plan import obsolete, reason_to_keep, renamed
from services.cluster_applier.inventory_store import JUST_NOW
from services.cluster_applier.kube import Kube
from services.cluster_applier.look import Look
from services.cluster_applier.prune import Pruning
from services.cluster_applier.settings import SyncSettings
from services.cluster_applier.target import Target
from services.cluster_applier.turns import Hung
from services.cluster_applier.webhooks import Webhooks
from shared.bus.port import Bus
from shared.contract import Draft, ObjectResult, SyncRequested
from shared.manifests import ObjectId

logger = structlog.get_logger(__name__)


class Retiring:
    """Prunes for one sync."""

    def __init__(
        self, settings: SyncSettings, kube: Kube, target: Target, books: Books, bus: Bus
    ) -> None:
        self._settings = settings
        self._kube = kube
        """As whom the sync is pruned."""
        self._target = target
        self._books = books
        self._bus = bus
        self._allowed = ""
        """The revision that may take away more than the limit."""
        self._hung = Hung()
        """In the last round of deletions."""
        self._kept = ""
        """Why nothing was pruned, as it was logged last."""

    def round(self) -> Pruning:
        """Return a round of deletions that begins now."""
        return Pruning(
            self._kube.fenced(self._books.confirm),
            self._target.discovery,
            self._target.ledger,
            at_once=self._target.settings.concurrency,
            namespace=self._target.settings.namespace,
            dry_run=self._settings.prune_dry_run,
            webhooks=Webhooks(self._target.kube),
            hung=self._hung,
        )

    def _is_allowed(self, look: Look) -> bool:
        """Tell whether a person has confirmed what this revision takes away."""
        return self._allowed == look.header.revision

    def allow(self, revision: str) -> None:
        """Let a revision take away as much as it does, now or as soon as it is there."""
        self._allowed = revision or self._allowed

    async def retire(self, look: Look) -> None:
        """Delete what is declared no more; note why not, if not."""
        await self._recover(look)
        inventory = await self._books.known()
        gone = [
            (name, one)
            for name, one in obsolete(inventory, look.declared, look.header.skipped)
            # What left the namespaces of the sync is not its to delete any more.
            if self._settings.allows(ObjectId.parse(name))
        ]
        same = await self._same(look, gone)
        look.pruning.rename(same)
        gone = [(name, one) for name, one in gone if name not in same]
        look.kept = self._reason_to_keep(look) if gone else ""
        if gone and not look.kept:
            look.kept = await self._prune(look, gone)
        if look.kept and look.kept != self._kept:
            reason, count = look.kept, len(gone)
            logger.warning("not pruned", sync=look.header.sync, reason=reason, objects=count)
        self._kept = look.kept

    async def _recover(self, look: Look) -> None:
        """Find by its marks what was applied before, where no inventory says so."""
        inventory = await self._books.known()
        if look.lost:
            look.notes.append(self._note(look.lost))
        if inventory.revision or not look.header.mark_set:
            return
        marked = await self._target.recovery.marked(look.header.mark_set)
        left = {name: one for name, one in marked.items() if name not in look.declared}
        for name in await self._same(look, left.items()):
            del left[name]
        await self._books.recover(left)
        if left:
            why = f"no inventory named {len(left)} objects that carry our marks, and left git"
            logger.warning("found by their marks", sync=look.header.sync, objects=len(left))
            look.notes.append(self._note(why))

    async def _same(self, look: Look, gone: Iterable[tuple[str, Applied]]) -> Mapping[str, str]:
        """Return which of what is *gone* is declared by another id, and by which."""
        inventory = await self._books.known()
        return renamed(gone, {**inventory.objects, **look.applying.applied}, look.declared)

    def _note(self, why: str) -> ObjectResult:
        """Return what is told of the inventory itself."""
        where = f"ConfigMap {self._target.settings.namespace}/flux-inventory-{self._settings.name}"
        return ObjectResult(id=where, action="skipped", message=why)

    async def _prune(self, look: Look, gone: list[tuple[str, Applied]]) -> str:
        """Delete what is *gone* from git; return why not, if not."""
        pruning, siblings = look.pruning, self._target.siblings
        moved, late = await siblings.wanting(look.header, [name for name, _ in gone])
        if late:
            pruning.unfinished = True
            return f"{late}; objects may move there"
        pruning.give(moved)
        for sync in set(moved.values()):
            await self._bus.publish(Draft(message=SyncRequested(sync=sync, reason="again")))
        going = [(name, one) for name, one in gone if name not in moved]
        there = sum(1 for _, one in going if one.uid and not one.found)
        if reason := await self._reason_to_hold(look, there):
            look.held = there
            return reason
        await self._delete(look, going)
        found = sum(1 for _, one in going if one.found)
        if found and not self._is_allowed(look) and not self._settings.prune_dry_run:
            look.held = found
            return f"{found} objects are known by their marks alone; {ALLOW}"
        dry = self._settings.prune_dry_run and going
        return f"prune_dry_run is on; {len(going)} objects are declared no more" if dry else ""

    async def _delete(self, look: Look, going: list[tuple[str, Applied]]) -> None:
        try:
            await self._books.claim()
            await self._books.confirm(at_most=JUST_NOW)
            mark_set, confirmed = look.header.mark_set, self._is_allowed(look)
            await look.pruning.delete(going, mark_set=mark_set, confirmed=confirmed)
        except BaseException:
            self._books.remember(look.applying, look.pruning)
            raise
        finally:
            self._hung = look.pruning.turns.hung

    async def _reason_to_hold(self, look: Look, going: int) -> str:
        if self._settings.prune_dry_run or self._is_allowed(look):
            return ""
        return reason_to_hold(
            going,
            (await self._books.known()).base,
            declared=len(look.bundle.objects),
            limit=self._settings.prune_limit,
        )

    def _reason_to_keep(self, look: Look) -> str:
        return reason_to_keep(
            prune=self._settings.prune or self._settings.prune_dry_run,
            problems=look.header.problems,
            failed=look.applying.failed,
            certain=look.verdict is Verdict.GO,
        )
