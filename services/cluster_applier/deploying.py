"""Brings what a sync declares onto its cluster: where it belongs, what differs, new kinds last."""

from collections.abc import Collection
from dataclasses import replace

from services.cluster_applier import placing
from services.cluster_applier.apply import Applying, Asking
from services.cluster_applier.books import Books
from services.cluster_applier.decrypting import Opened
from services.cluster_applier.domain.inventory import Inventory
from services.cluster_applier.domain.plan import Plan, Wanted, plan
from services.cluster_applier.domain.pruning import is_flux_own
from services.cluster_applier.drifting import Drifting
from services.cluster_applier.inventory_store import JUST_NOW
from services.cluster_applier.kube import Kube
from services.cluster_applier.look import Look
from services.cluster_applier.placing import Placed, Placing
from services.cluster_applier.settings import SyncSettings
from services.cluster_applier.target import Target
from services.cluster_applier.turns import Hung
from services.cluster_applier.webhooks import Webhooks
from shared.bundle.format import Bundle


class Deploying:
    """Applies for one sync."""

    def __init__(
        self, settings: SyncSettings, kube: Kube, target: Target, books: Books, drifting: Drifting
    ) -> None:
        self._settings = settings
        self._kube = kube
        """As whom the sync is applied."""
        self._target = target
        self._books = books
        self._drifting = drifting
        self._refused: dict[str, tuple[str, str]] = {}
        """By object id: digest and reason of what the API server will never take."""
        self._unserved: frozenset[Wanted] = frozenset()
        """Objects of which it was told that the cluster does not serve their kind."""
        self._placing = Placing(target.discovery)
        self.hung = Hung()
        self._lacking: Collection[str] = ()
        """Of the last round: what hung, and the namespaces that were not there."""

    def forgive(self) -> None:
        """Try what was refused for ever once more."""
        self._refused.clear()

    def round(self, opened: Opened, inventory: Inventory) -> Applying:
        """Return a round of changes that begins now; what can't be read has failed already."""
        bundle = opened.bundle

        async def still_ours() -> None:
            await self._books.confirm(at_most=JUST_NOW)

        async def gives(name: str, owner: str) -> bool:
            return not await self._target.siblings.declares(owner, name, bundle.header)

        answered = self._drifting.answered
        applying = Applying(
            self._settings.name,
            self._kube.fenced(self._books.confirm),
            self._target.ledger,
            bundle,
            inventory.objects,
            asking=Asking(
                answered=answered,
                still_ours=still_ours,
                gives=gives,
                left=self._drifting.drifts.left,
            ),
            webhooks=Webhooks(self._target.kube),
            carried=self._books.carried,
            hung=self.hung,
            lacking=self._lacking,
        )
        applying.held += [one.result for one in opened.unread]
        applying.unfinished = any(one.passing for one in opened.unread)
        return applying

    async def differing(
        self, bundle: Bundle, inventory: Inventory
    ) -> tuple[Placed, tuple[Wanted, ...]]:
        """Return where all of a bundle is, and what of it a round would apply, or has given up."""
        placed, drifts = await self._placing.placed(bundle), self._drifting.drifts
        todo = plan(placed.known, inventory, {*drifts.pending, *drifts.contested})
        return placed, todo.apply

    async def deploy(self, look: Look, inventory: Inventory) -> None:
        """Apply what differs; what was done is remembered whatever ends us."""
        look.placed = await self._placing.placed(look.bundle)
        self._drifting.at_once = look.applying.correct
        try:
            await self._apply(look, inventory)
            if look.placed.unknown:
                await self._apply_late(look, inventory)
        except BaseException:
            self._books.remember(look.applying)
            raise
        finally:
            self._drifting.at_once = lambda _: False
            self.hung, self._lacking = look.applying.turns.hung, look.applying.lacking
        self._refused |= look.applying.refused

    async def _apply(self, look: Look, inventory: Inventory) -> None:
        todo = await self._announced(look.placed, inventory, look.applying)
        look.unchanged = todo.unchanged
        at_once = self._target.settings.concurrency
        ours = [one for one in look.placed.known if self._settings.allows(one.id)]
        await look.applying.apply(todo.apply, at_once, unchanged=ours)

    async def _apply_late(self, look: Look, inventory: Inventory) -> None:
        """Apply objects of kinds that were defined a moment ago."""
        discovery = self._target.discovery
        late = await placing.placed_late(look.bundle, look.placed.unknown, discovery)
        todo = await self._announced(late, inventory, look.applying)
        look.unchanged += todo.unchanged
        await look.applying.apply(todo.apply, self._target.settings.concurrency)
        look.applying.refuse_unknown(late.unknown, self._unserved, discovery)
        self._unserved = frozenset(late.unknown)
        look.placed = look.placed.joined(late)

    async def _announced(self, placed: Placed, inventory: Inventory, applying: Applying) -> Plan:
        """Return what is to be applied; it is watched, and in the inventory before."""
        self._target.watches.ensure(placed.resources | self._target.scalers)
        todo = self._todo(placed, inventory, applying)
        if not self._target.lease.held:  # then we watch nothing: somebody may want it left alone
            names = {str(one.id) for one in todo.apply} & inventory.objects.keys()
            await self._target.watches.look_at(names - self._drifting.drifts.pending.keys())
        await self._books.announce(todo)
        return todo

    def _todo(self, placed: Placed, inventory: Inventory, applying: Applying) -> Plan:
        """Return what to apply, without what is Flux's own or was refused for ever."""
        for one, first in placed.twice:
            where = f"{first.entry.file}:{first.entry.line}"
            applying.hold(one, "failed", f"is declared already in {where}; remove one of them")
        todo = plan(placed.known, inventory, self._drifting.drifts.pending.keys())
        reasons = {str(one.id): self._reason_to_hold(one) for one in todo.apply}
        for one in todo.apply:
            if reasons[str(one.id)]:
                applying.hold(one, "failed", reasons[str(one.id)])
        return replace(todo, apply=tuple(one for one in todo.apply if not reasons[str(one.id)]))

    def never(self, one: Wanted) -> str:
        """Return why an object may not be applied at all; empty where it may."""
        if one.id.kind == "ConfigMap" and is_flux_own(one.id, self._target.settings.namespace):
            return "Flux keeps an inventory under this name; rename it"
        if not self._settings.allows(one.id):
            listed = ", ".join(sorted(self._settings.namespaces))
            return f"its namespace is not among those of the sync: {listed}"
        return ""

    def _reason_to_hold(self, one: Wanted) -> str:
        if reason := self.never(one):
            return reason
        digest, reason = self._refused.get(str(one.id), ("", ""))
        same = digest == one.entry.digest and str(one.id) not in self._drifting.drifts.pending
        return reason if same else ""
