"""
Removes syncs that flux.yaml names no more, if they were marked so while it did.

Their inventory alone says what they had, and how it goes. It goes by the rules of all pruning, and
only once everything that the newer file declares is applied: a sync may have a new name, and what
that owns or declares is let go. The inventory is deleted last, so that who dies before begins anew.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping

import structlog

from services.cluster_applier.domain.inventory import Applied, Inventory, Removal
from services.cluster_applier.domain.plan import obsolete
from services.cluster_applier.domain.removal import is_allowed, reason_to_leave
from services.cluster_applier.inventory_removal import RemovedInventories
from services.cluster_applier.prune import Pruning
from services.cluster_applier.settings import File
from services.cluster_applier.target import Target
from services.cluster_applier.webhooks import Webhooks
from shared.manifests import ObjectId
from shared.runtime.errors import PermanentError, TemporaryError
from shared.runtime.lifecycle import unless_stopped

logger = structlog.get_logger(__name__)

EVERY = 300.0
"""Seconds between two looks ..."""
SOON = 2.0
"""... and after the first that found something which has to wait; then each time the double."""


class Removing:
    """What one target holds of syncs that left the file; for who holds its Lease."""

    def __init__(self, target: Target, file: File) -> None:
        self._target = target
        self._file = file
        self._kube = target.kube.beside()  # what is asked here is no part of what a sync costs
        self._inventories = RemovedInventories(
            self._kube, target.settings.namespace, target.inventories.identity
        )
        self._said: dict[str, str] = {}
        """By sync: why it is there still, as it was logged last."""

    async def run(self, stop: asyncio.Event) -> None:
        """Look now and then until *stop*."""
        pause = SOON
        while not stop.is_set():
            async with unless_stopped(stop):
                waits = await self._look()
                await asyncio.sleep(pause if waits else EVERY)
                pause = min(pause * 2, EVERY) if waits else SOON

    async def _look(self) -> bool:
        """Remove what may go; tell whether something waits."""
        try:
            gone = await self._inventories.names() - self._file.syncs
        except (TemporaryError, PermanentError) as error:
            logger.debug("no look for removed syncs", reason=str(error))
            return True
        return any([await self._try(sync) for sync in sorted(gone)])

    async def _try(self, sync: str) -> bool:
        try:
            inventory = await self._inventories.load(sync)
            left = reason_to_leave(inventory, self._target.settings.name, self._file.generation)
            if left or inventory.removal is None:
                logger.debug("sync left as it is", sync=sync, reason=left)
                return False
            why = await self._remove(inventory, inventory.removal)
        except (TemporaryError, PermanentError) as error:
            why = str(error)
        if why and self._said.get(sync) != why:
            logger.warning("sync not removed", sync=sync, reason=why)
        self._said[sync] = why
        return bool(why)

    async def _remove(self, inventory: Inventory, removal: Removal) -> str:
        """Delete the objects, and the inventory if none is left; return why not, if not."""
        gone = [
            (name, one)
            for name, one in obsolete(inventory, (), ())
            if is_allowed(ObjectId.parse(name), removal.namespaces)
        ]
        others = await self._others(inventory.sync)
        declaring, late = await self._target.siblings.declaring(
            [name for name, _ in gone], others, self._file.generation
        )
        if late:
            return f"{late}; objects may have moved there"
        let_go = declaring.keys() | _owned(gone, others.values())
        going = {name: one for name, one in gone if name not in let_go}
        await self._claim(inventory)
        pruning = self._round(inventory.sync, removal)
        await pruning.delete(going.items(), mark_set=removal.mark_set)
        left = going.keys() - pruning.forgotten
        await self._keep(inventory, left)
        return self._told(inventory.sync, left, pruning, let_go=len(let_go))

    async def _others(self, sync: str) -> Mapping[str, Inventory]:
        """Return every other inventory, also of those who left the file: what is theirs stays."""
        store = self._inventories
        return {name: await store.read(name) for name in await store.names() - {sync}}

    async def _claim(self, inventory: Inventory) -> None:
        """Make it ours, as it was read: who works on it stops, and who wrote it since wins."""
        store = self._inventories
        if inventory.claim == store.identity:
            await store.confirm(inventory.sync, at_most=0.0)
        else:
            await store.save(inventory.model_copy(update={"claim": store.identity}))

    def _round(self, sync: str, removal: Removal) -> Pruning:
        async def still_ours() -> None:
            if not self._target.lease.held:
                raise TemporaryError(f"inventory of {sync}", "the Lease of its target is lost")
            await self._inventories.confirm(sync)

        return Pruning(
            self._kube.acting_as(removal.service_account).fenced(still_ours),
            self._target.discovery,
            self._target.ledger,
            at_once=self._target.settings.concurrency,
            namespace=self._target.settings.namespace,
            webhooks=Webhooks(self._kube),
        )

    async def _keep(self, inventory: Inventory, left: Collection[str]) -> None:
        """Write down what is *left*, if anything changed; the inventory goes where nothing is."""
        store = self._inventories
        if not left:
            await store.remove(inventory.sync)
        elif left != inventory.objects.keys():
            objects = {name: inventory.objects[name] for name in left}
            changed = {"claim": store.identity, "objects": objects}
            await store.save(inventory.model_copy(update=changed))

    def _told(self, sync: str, left: Collection[str], pruning: Pruning, *, let_go: int) -> str:
        """Return why something is *left*, if so."""
        deleted = sum(one.action == "deleted" for one in pruning.results)
        if not left:
            logger.info("sync removed", sync=sync, deleted=deleted, let_go=let_go)
            return ""
        told = (*pruning.kept, *pruning.results)
        why = (f"{one.id}: {one.message}" for one in told if one.id in left)
        return f"{len(left)} objects stay, {deleted} were deleted; {min(why, default='')}"


def _owned(gone: Iterable[tuple[str, Applied]], others: Collection[Inventory]) -> Collection[str]:
    """Return which of what is *gone* others own: by its id, or the same object by another one."""
    names = {name for other in others for name in other.objects}
    uids = {one.uid for other in others for one in other.objects.values() if one.uid}
    return {name for name, one in gone if name in names or one.uid in uids}
