"""Inventories of syncs that flux.yaml names no more: looked for, read, deleted at the end."""

from services.cluster_applier.inventory_store import (
    PREFIX,
    SELECTOR,
    InventoryStore,
    written_by_another,
)
from services.cluster_applier.kube import METADATA, METADATA_LIST
from shared.runtime import faults
from shared.runtime.errors import PermanentError


class RemovedInventories(InventoryStore):
    """Those of one target, beside what its syncs know of theirs."""

    async def names(self) -> frozenset[str]:
        """
        Return the syncs that have an inventory now.

        Raises:
            PermanentError: that can't be told.
        """
        answer = await self._kube.get(self.collection, accept=METADATA_LIST, labelSelector=SELECTOR)
        if not answer.ok or not answer.is_list:
            raise PermanentError(f"the inventories can't be listed: {answer.reason}")
        found = (str(item["metadata"]["name"]) for item in answer.body.get("items") or ())
        return frozenset(one.removeprefix(PREFIX) for one in found if one.startswith(PREFIX))

    async def remove(self, sync: str) -> None:
        """
        Delete an inventory, if nobody else wrote it since we read it.

        Raises:
            TemporaryError: somebody did.
            PermanentError: it can't be deleted; the sentence says why.
        """
        path, known = self._path(sync), self._known.pop(sync)
        await faults.reach("inventory.before")
        answer = await self._kube.get(path, accept=METADATA)
        if answer.ok:
            asked = {"uid": str(answer.metadata.get("uid", "")), "version": known.version}
            answer = await self._kube.delete(path, **asked)
        if answer.status == 409:
            raise written_by_another(sync)
        if not answer.ok and answer.status != 404:
            raise PermanentError(f"the inventory of {sync} can't be deleted: {answer.reason}")
        await faults.reach("inventory.after")
