"""Keeps inventories in the cluster that they describe, one ConfigMap a sync."""

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import structlog

from services.cluster_applier.domain.inventory import Inventory, NewerFormatError, decoded
from services.cluster_applier.domain.ledger import number
from services.cluster_applier.inventory_size import fitting
from services.cluster_applier.kube import METADATA, METADATA_LIST, Kube
from services.cluster_applier.namespace import create_in
from shared.runtime import faults
from shared.runtime.errors import PermanentError, TemporaryError

logger = structlog.get_logger(__name__)

FRESH = 30.0
"""Seconds for which what a list told of another sync's inventory is good enough."""
CONFIRMED = 2.0
"""Seconds after which it is asked again whether an inventory is still as we know it ..."""
JUST_NOW = 1.0
"""... and where much depends on it, as at the begin of a stage."""
_MARK = "app.kubernetes.io/managed-by"
SELECTOR = f"{_MARK}=flux"
PREFIX = "flux-inventory-"
"""Of the names of their ConfigMaps."""
_CLAIM = "fluxcd.io/claimed-by"
"""The label by which inventories of others are told from ours."""


@dataclass(slots=True, kw_only=True)
class _Known:
    """What we know of one ConfigMap."""

    version: str
    """Empty where there is none."""
    at: float
    """When that was so, on the loop's clock."""


class InventoryStore:
    """The inventories of one target's syncs."""

    def __init__(self, kube: Kube, namespace: str, identity: str) -> None:
        self.identity = identity
        """Of this process; inventories that it writes are claimed by it."""
        self.namespace = namespace
        self._claim = sha256(identity.encode()).hexdigest()[:16]
        self._kube = kube
        self._known: dict[str, _Known] = {}
        self._listed: dict[str, Inventory] | None = None
        self._listed_at = float("-inf")
        """When all were listed; never where they may not be."""
        self._one_at_a_time = asyncio.Lock()
        self._confirming: dict[str, asyncio.Lock] = {}
        self._read_versions: dict[str, str] = {}
        """By sync: the version of what was read of inventories that others write."""
        self._news_at = float("-inf")

    async def all(self) -> list[Inventory]:
        """Return every inventory, once: one request for many syncs. Then, nothing."""
        async with self._one_at_a_time:
            if self._listed is not None:
                return []
            answer = await self._kube.get(self.collection, labelSelector=SELECTOR)
            self._listed = {}
            if answer.ok:  # where it may not be listed, each is read by itself
                self._listed_at = _now()
                for item in answer.body.get("items") or ():
                    await self._take(item)
            return list(self._listed.values())

    async def load(self, sync: str) -> Inventory:
        """Return what was applied; nothing where nothing is known."""
        listed = (self._listed or {}).pop(sync, None)
        if _now() - self._listed_at < FRESH:
            if listed is not None:
                return listed
            if sync not in self._known:  # it was not there; if it is by now, no write succeeds
                self._known[sync] = _Known(version="", at=self._listed_at)
                return Inventory(sync=sync)
        answer = await self._kube.get(self._path(sync))
        if answer.status == 404:
            self._known[sync] = _Known(version="", at=_now())
            return Inventory(sync=sync)
        if not answer.ok:
            raise PermanentError(f"the inventory of {sync} can't be read: {answer.reason}")
        return await self._read(sync, answer.body)

    async def read(self, sync: str) -> Inventory:
        """
        Return what an inventory says now, though it is another's: it is not ours to write.

        Raises:
            PermanentError: it is not there, or can't be read.
        """
        answer = await self._kube.get(self._path(sync))
        if not answer.ok:
            raise PermanentError(f"the inventory of {sync} can't be read: {answer.reason}")
        try:
            return await asyncio.to_thread(decoded, answer.body.get("data") or {})
        except ValueError as error:
            raise PermanentError(f"the inventory of {sync}: {error}") from error

    async def standing(self, sync: str) -> Inventory:
        """Return the same; one of nothing where there is none, or none that can be read."""
        try:
            return await self.read(sync)
        except PermanentError:
            return Inventory(sync=sync)

    async def confirm(self, sync: str, *, at_most: float = CONFIRMED) -> None:
        """
        Return if nobody else wrote the inventory since we read it, *at_most* seconds ago.

        Raises:
            TemporaryError: somebody did, so we are not the only one who applies.
        """
        async with self._confirming.setdefault(sync, asyncio.Lock()):
            known = self._known.get(sync)
            if known is None or _now() - known.at < at_most:
                return
            asked = _now()
            answer = await self._kube.get(self._path(sync), accept=METADATA)
            if not answer.ok and answer.status != 404:
                raise PermanentError(f"the inventory of {sync} can't be read: {answer.reason}")
            version = answer.metadata.get("resourceVersion") if answer.ok else ""
            if version != known.version:
                raise written_by_another(sync)
            known.at = asked

    async def save(self, inventory: Inventory) -> None:
        """
        Keep *inventory* as ours, if nobody else wrote it since we read it.

        Raises:
            TemporaryError: somebody did; read it again.
            PermanentError: it can't be kept; the sentence says why.
        """
        sync = inventory.sync
        data = await asyncio.to_thread(fitting, inventory)
        known = self._known.get(sync)
        body = self._object(sync, data, known.version if known else "")
        await faults.reach("inventory.before")
        if known is None or not known.version:
            answer = await create_in(self._kube, self.namespace, self.collection, body)
        else:
            answer = await self._kube.replace(self._path(sync), body)
        if answer.status in {404, 409}:
            raise written_by_another(sync)
        if not answer.ok:
            raise PermanentError(f"the inventory of {sync} can't be written: {answer.reason}")
        await faults.reach("inventory.after")
        self._known[sync] = _Known(
            version=str(answer.metadata.get("resourceVersion", "")), at=_now()
        )

    async def others(self, item: Any) -> Inventory | None:
        """Return the inventory of a ConfigMap that another process wrote, if it can be read."""
        data = item.get("data") or {}
        if data.get("claim") == self.identity:
            return None
        try:
            return await asyncio.to_thread(decoded, data)
        except ValueError as error:
            logger.debug("inventory of others not read", reason=str(error))
            return None

    async def news(self, skip: Collection[str]) -> list[tuple[Inventory, int]]:
        """
        Return what other processes wrote since it was read last, each with its version.

        One request tells whether there is anything; many who ask together share it. Inventories
        of the syncs in *skip* are known better than by what is written.
        """
        asked = _now()
        async with self._one_at_a_time:
            if self._news_at >= asked:
                return []
            begun = _now()
            found = [
                one
                for name, version in (await self._versions()).items()
                if name not in skip and self._read_versions.get(name) != version
                if (one := await self._read_others(name)) is not None
            ]
            self._news_at = begun
            return found

    async def _versions(self) -> Mapping[str, str]:
        others = f"{SELECTOR},{_CLAIM}!={self._claim}"
        answer = await self._kube.get(self.collection, accept=METADATA_LIST, labelSelector=others)
        if not answer.ok:  # then nobody can tell; the ledger knows what was read before
            return {}
        found = [item["metadata"] for item in answer.body.get("items") or ()]
        return {str(one["name"]).removeprefix(PREFIX): str(one["resourceVersion"]) for one in found}

    async def _read_others(self, sync: str) -> tuple[Inventory, int] | None:
        answer = await self._kube.get(self._path(sync))
        found = await self.others(answer.body) if answer.ok else None
        version = str(answer.metadata.get("resourceVersion", ""))
        self._read_versions[sync] = version
        return (found, number(version)) if found else None

    def version(self, sync: str) -> int:
        """Return the version of an inventory as we wrote it."""
        known = self._known.get(sync)
        return number(known.version) if known else 0

    async def _take(self, item: Any) -> None:
        name = str(item["metadata"]["name"])
        if name.startswith(PREFIX) and self._listed is not None:
            sync = name.removeprefix(PREFIX)
            self._read_versions[sync] = str(item["metadata"]["resourceVersion"])
            with suppress(PermanentError):  # told when that sync itself is looked at
                self._listed[sync] = await self._read(sync, item)

    async def _read(self, sync: str, body: Any) -> Inventory:
        self._known[sync] = _Known(version=body["metadata"]["resourceVersion"], at=_now())
        try:
            found = await asyncio.to_thread(decoded, body.get("data") or {})
            if found.sync == sync:
                return found
            lost = f"it is that of {found.sync}"
        except NewerFormatError as error:
            where = f"ConfigMap {self.namespace}/{PREFIX}{sync}"
            raise PermanentError(
                f"the inventory of {sync} was written by a newer Flux: {error}; run that one, or"
                f" delete the {where} to begin anew"
            ) from error
        except ValueError as error:
            lost = str(error)
        # Everything is applied again; what may be deleted must be proved by its marks.
        logger.error("inventory unreadable, begun anew", sync=sync, reason=lost)
        return Inventory(sync=sync, lost=f"the inventory was begun anew: {lost}")

    def _object(self, sync: str, data: Mapping[str, str], version: str) -> Any:
        metadata: dict[str, Any] = {
            "name": f"{PREFIX}{sync}",
            "namespace": self.namespace,
            "labels": {_MARK: "flux", _CLAIM: self._claim},
        }
        if version:
            metadata["resourceVersion"] = version
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}

    @property
    def collection(self) -> str:
        """The path of the inventories."""
        return f"/api/v1/namespaces/{self.namespace}/configmaps"

    def _path(self, sync: str) -> str:
        return f"{self.collection}/{PREFIX}{sync}"


def written_by_another(sync: str) -> TemporaryError:
    """Return the error that stands for an inventory that is not as we know it."""
    return TemporaryError(
        f"inventory of {sync}", "another applier wrote it; what it wrote is read again"
    )


def _now() -> float:
    return asyncio.get_running_loop().time()
