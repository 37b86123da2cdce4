"""One cluster with everything that is kept of it: kinds, inventories, ledger, watches."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.cluster_applier.discovery import Discovery, Resource
from services.cluster_applier.domain.inventory import Inventory
from services.cluster_applier.domain.ledger import Ledger
from services.cluster_applier.domain.scaling import KINDS as SCALERS
from services.cluster_applier.domain.status import KINDS
from services.cluster_applier.inventory_store import InventoryStore
from services.cluster_applier.kube import Kube, kube
from services.cluster_applier.live import Live
from services.cluster_applier.siblings import Siblings
from services.cluster_applier.watch import OnDrift, Watches
from shared.bundle.sealing import Opener
from shared.bus.port import Bus
from shared.config.model import Target as Settings

_GROUPS = {"CronJob": "batch"}
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
    watches: Watches
    live: Live
    siblings: Siblings
    opener: Opener | None

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


@asynccontextmanager
async def target(
    settings: Settings, bus: Bus, identity: str, *, drift: OnDrift
) -> AsyncIterator[Target]:
    """Open a cluster; workloads are watched from the start, other kinds once they are applied."""
    ledger = Ledger()
    live = Live(settings.name, ledger, bus)
    async with kube(settings) as api:
        watches = Watches(api, ledger, bus, drift=drift, workload=live.see)
        watches.ensure({_workload(kind) for kind in KINDS} | {_SCALERS})
        yield Target(
            settings=settings,
            kube=api,
            discovery=Discovery(api),
            inventories=InventoryStore(api, settings.namespace, identity),
            ledger=ledger,
            watches=watches,
            live=live,
            siblings=Siblings(),
            opener=Opener(settings.seal.private_key.read()) if settings.seal else None,
        )


def _workload(kind: str) -> Resource:
    return Resource(
        group=_GROUPS.get(kind, "apps"),
        version="v1",
        kind=kind,
        plural=f"{kind.lower()}s",
        namespaced=True,
    )
