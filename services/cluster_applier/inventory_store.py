"""Keeps inventories in the cluster that they describe, one ConfigMap a sync."""

from typing import Any

import structlog

from services.cluster_applier.domain.inventory import Inventory, decoded
from services.cluster_applier.kube import Kube
from shared.runtime.errors import PermanentError, TemporaryError

logger = structlog.get_logger(__name__)


class InventoryStore:
    """The inventories of one target's syncs."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube = kube
        self._namespace = namespace
        self._versions: dict[str, str] = {}

    async def load(self, sync: str) -> Inventory:
        """Return what was applied; nothing where nothing is known."""
        answer = await self._kube.get(self._path(sync))
        if answer.status == 404:
            self._versions.pop(sync, None)
            return Inventory(sync=sync)
        if not answer.ok:
            raise PermanentError(f"the inventory of {sync} can't be read: {answer.reason}")
        self._versions[sync] = answer.body["metadata"]["resourceVersion"]
        try:
            return decoded(answer.body.get("data") or {})
        except ValueError as error:
            # Everything is applied again and nothing deleted: what it held is not known any more.
            logger.error("inventory unreadable, begun anew", sync=sync, reason=str(error))  # noqa: TRY400 - no bug of ours
            return Inventory(sync=sync)

    async def save(self, inventory: Inventory) -> None:
        """
        Keep *inventory*, if nobody else wrote it since we read it.

        Raises:
            TemporaryError: somebody did; read it again.
        """
        sync = inventory.sync
        version = self._versions.get(sync)
        body = self._object(inventory, version)
        if version is None:
            answer = await self._kube.create(self._collection(), body)
            if answer.status == 404:
                await self._make_namespace()
                answer = await self._kube.create(self._collection(), body)
        else:
            answer = await self._kube.replace(self._path(sync), body)
        if answer.status in {404, 409}:
            raise TemporaryError(
                f"inventory of {sync}", "another applier wrote it; what it wrote is read again"
            )
        if not answer.ok:
            raise PermanentError(f"the inventory of {sync} can't be written: {answer.reason}")
        self._versions[sync] = answer.body["metadata"]["resourceVersion"]

    async def _make_namespace(self) -> None:
        namespace = {"metadata": {"name": self._namespace}}
        answer = await self._kube.create("/api/v1/namespaces", namespace)
        if not answer.ok and answer.status != 409:
            raise PermanentError(
                f"the namespace {self._namespace} for inventories can't be made: {answer.reason}"
            )

    def _object(self, inventory: Inventory, version: str | None) -> Any:
        metadata: dict[str, Any] = {
            "name": f"flux-inventory-{inventory.sync}",
            "namespace": self._namespace,
            "labels": {"app.kubernetes.io/managed-by": "flux"},
        }
        if version is not None:
            metadata["resourceVersion"] = version
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": dict(inventory.encoded()),
        }

    def _collection(self) -> str:
        return f"/api/v1/namespaces/{self._namespace}/configmaps"

    def _path(self, sync: str) -> str:
        return f"{self._collection()}/flux-inventory-{sync}"
