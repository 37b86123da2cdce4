"""One cluster with everything that is kept of it: kinds, inventories, ledger, watches."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from services.cluster_applier import placing
from services.cluster_applier.decrypting import Decrypting
from services.cluster_applier.discovery import Discovery, Resource
from services.cluster_applier.domain.drift import Drift
from services.cluster_applier.domain.inventory import Inventory
from services.cluster_applier.domain.ledger import Ledger
from services.cluster_applier.domain.scaling import KINDS as SCALERS
from services.cluster_applier.domain.status import KINDS
from services.cluster_applier.elsewhere import Elsewhere
from services.cluster_applier.following import Following
from services.cluster_applier.inventory_store import InventoryStore
from services.cluster_applier.kube import Kube, kube
from services.cluster_applier.lease import Lease, Work
from services.cluster_applier.live import Live
from services.cluster_applier.recovery import Recovery
from services.cluster_applier.showing import OnDrift
from services.cluster_applier.siblings import Siblings
from services.cluster_applier.sops import Sops
from services.cluster_applier.watch import Watches
from shared.bundle.sealing import Opener
from shared.bus.port import Bus, Worker
from shared.config.target import Target as Settings

PLACES = 32
"""Syncs of one cluster that are worked on at a time."""
_SCALERS = Resource(
    group="autoscaling",
    version="v2",
    kind="HorizontalPodAutoscaler",
    plural="horizontalpodautoscalers",
    namespaced=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A cluster that syncs are applied to."""

    settings: Settings
    kube: Kube
    discovery: Discovery
    inventories: InventoryStore
    ledger: Ledger
    lease: Lease
    watches: Watches
    live: Live
    siblings: Siblings
    recovery: Recovery
    here: set[str]
    """The syncs that this process works on, as far as it knows."""
    opener: Opener | None
    decrypting: Decrypting
    places: asyncio.Semaphore
    """Those that hang here hold none of another cluster."""

    @property
    def scalers(self) -> frozenset[Resource]:
        """Every kind of autoscaler that the cluster serves."""
        return frozenset(one for one in self.discovery.all() if one.key in SCALERS)

    async def known(self, sync: str) -> Inventory:
        """Return what was applied; of all syncs of the target it is claimed before anything is."""
        for inventory in await self.inventories.all():
            if inventory.sync in self.siblings:
                self.ledger.claim(inventory)
                self.live.owned(inventory.objects)
        found = await self.inventories.load(sync)
        self.ledger.claim(found)
        self.live.owned(found.objects)
        return found

    async def look_around(self, sync: str, new: Collection[str]) -> None:
        """
        Find out who else declares what *sync* has just announced as *new*: the first one keeps it.

        Everybody announces before he looks: of two at least one sees the other, and who announced
        later gives way.
        """
        if len(self.siblings) > 1:
            mine = self.inventories.version(sync)
            for other, version in await self.inventories.news(skip=self.here):
                if other.sync not in self.siblings:
                    continue
                objects = {
                    name: one
                    for name, one in other.objects.items()
                    if name not in new or one.uid or version < mine
                }
                self.ledger.claim(other.model_copy(update={"objects": objects}))
        for name in new:
            self.ledger.announce(name, sync)

    async def take_in(self, inventory: Inventory, *, now: bool) -> None:
        """Take in what another process wrote of its sync; *now*: that it did so this moment."""
        if inventory.sync not in self.siblings or (inventory.sync in self.here and not now):
            return
        was_ours = inventory.sync in self.here
        self.here.discard(inventory.sync)
        self.ledger.claim(inventory)
        self.live.owned(inventory.objects)
        kinds = await placing.resources(inventory.objects, self.discovery)
        self.watches.ensure(kinds)
        if was_ours and kinds:  # what we wrote last, the other one does not know
            await self.watches.compare(at_most=0.0, only={one.key for one in kinds})


@asynccontextmanager
async def target(
    settings: Settings,
    bus: Bus,
    identity: str,
    *,
    drift: OnDrift,
    more: Callable[["Target"], Work],
) -> AsyncIterator[tuple[Target, Mapping[str, Worker]]]:
    """
    Open a cluster; yield it with the workers of what belongs to the whole of it.

    Workloads are watched from the start, other kinds once they are applied. *drift* is told what
    differs of the syncs that this process works on. *more* is done by who holds the Lease, too.
    """
    ledger, here = Ledger(), set[str]()

    def differs(sync: str, name: str, what: Drift) -> None:
        if sync in here:
            drift(sync, name, what)
        elif lease.held:
            elsewhere.see(sync, name, what)

    async with kube(settings) as api:
        live = Live(settings.name, ledger, bus, held=lambda: lease.held)
        watches = Watches(api, ledger, bus, drift=differs, workload=live.see)
        watches.ensure({_workload(*kind) for kind in KINDS} | {_SCALERS})
        name = f"flux-cluster-applier-{settings.name}"
        lease = Lease(
            api.beside(), watches.reach, namespace=settings.namespace, name=name, identity=identity
        )
        elsewhere = Elsewhere(ledger, bus)
        discovery, decrypting = Discovery(api), Decrypting(Sops(settings.decryption))
        found = Target(
            settings=settings,
            kube=api,
            discovery=discovery,
            inventories=InventoryStore(api, settings.namespace, identity),
            ledger=ledger,
            lease=lease,
            watches=watches,
            live=live,
            siblings=Siblings(decrypting),
            recovery=Recovery(api, discovery),
            here=here,
            opener=Opener(settings.seal.private_key.read()) if settings.seal else None,
            decrypting=decrypting,
            places=asyncio.Semaphore(PLACES),
        )
        following = Following(api.beside(), found.inventories, watches.reach, found.take_in)
        parts = (live.run, elsewhere.run, following.run, watches.run, more(found))
        yield found, {f"overlook {settings.name}": partial(lease.run, work=partial(_all, parts))}


async def _all(workers: Sequence[Work], stop: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as group:
        for worker in workers:
            group.create_task(worker(stop))


def _workload(group: str, kind: str) -> Resource:
    return Resource(
        group=group,
        version="v1",
        kind=kind,
        plural=f"{kind.lower()}s",
        namespaced=True,
    )
