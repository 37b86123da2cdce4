"""
Finds what a sync applied by its marks, where the inventory that said so is lost.

All syncs of a target share one look at the whole cluster; only what carries a mark is read, and of
that the metadata. What any inventory names, be it that of another Flux, is its, and not found.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from services.cluster_applier.discovery import Discovery, Resource
from services.cluster_applier.domain.inventory import Applied, NewerFormatError, decoded
from services.cluster_applier.inventory_store import SELECTOR
from services.cluster_applier.kube import METADATA_LIST, Kube
from shared.manifests import ObjectId
from shared.manifests.marks import MARK, mark
from shared.runtime.tasks import each

logger = structlog.get_logger(__name__)

AT_ONCE = 8
PAGE = "500"
FRESH = 60.0
"""Seconds for which a look is good enough: syncs that begin together share it."""
_MEASURED = "metrics.k8s.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Marked:
    id: ObjectId
    mark: str
    applied: Applied


class Recovery:
    """What of one target carries marks."""

    def __init__(self, kube: Kube, discovery: Discovery) -> None:
        self._kube = kube
        self._discovery = discovery
        self._found: list[_Marked] = []
        self._named: frozenset[str] | None = None
        self._looked = float("-inf")
        self._one_at_a_time = asyncio.Lock()

    async def marked(self, set_name: str) -> Mapping[str, Applied]:
        """Return the objects whose marks say that this set declared them, by their ids."""
        async with self._one_at_a_time:
            now = asyncio.get_running_loop().time()
            if now - self._looked > FRESH:
                self._found = []
                self._named = await self._read_inventories()
                kinds = [one for one in self._discovery.all() if _is_kept(one)]
                if self._named is not None:
                    await each(kinds, self._look, at_once=AT_ONCE, name="marks")
                self._looked = now
        return {str(one.id): one.applied for one in self._of(set_name)}

    def _of(self, set_name: str) -> Iterator[_Marked]:
        named = self._named or frozenset()
        return (
            one
            for one in self._found
            if one.mark == mark(set_name, one.id.workload) and str(one.id) not in named
        )

    async def _read_inventories(self) -> frozenset[str] | None:
        """Return what the inventories of any Flux in the cluster name; None if unknown."""
        answer = await self._kube.look("/api/v1/configmaps", labelSelector=SELECTOR)
        if not answer.ok or not answer.is_list:
            logger.debug("inventories not read", reason=answer.reason)
            return None
        named: set[str] = set()
        for item in answer.body.get("items") or ():
            try:
                named |= (await asyncio.to_thread(decoded, item.get("data") or {})).objects.keys()
            except NewerFormatError:
                return None
            except ValueError as error:
                logger.debug("inventory not read", reason=str(error))
        return frozenset(named)

    async def _look(self, kind: Resource) -> None:
        """Read one kind; what can't be read is not found, and so is not deleted either."""
        token = ""
        while True:
            params = {
                "limit": PAGE,
                "labelSelector": MARK,
                **({"continue": token} if token else {}),
            }
            answer = await self._kube.look(kind.collection(), accept=METADATA_LIST, **params)
            if not answer.ok or not answer.is_list:
                logger.debug("marks not read", kind=kind.kind, reason=answer.reason)
                return
            found = (_read(kind, one["metadata"]) for one in answer.body.get("items") or ())
            self._found += [one for one in found if one is not None]
            token = str(answer.metadata.get("continue") or "")
            if not token:
                return


def _read(kind: Resource, metadata: Mapping[str, Any]) -> _Marked | None:
    """Return an object with our mark; None where it has none, though only such were asked for."""
    labels = metadata.get("labels")
    if not isinstance(labels, Mapping) or MARK not in labels:
        return None
    applied = Applied(uid=str(metadata.get("uid", "")), found=True)
    return _Marked(id=kind.named(metadata), mark=str(labels[MARK]), applied=applied)


def _is_kept(kind: Resource) -> bool:
    return kind.listed and not kind.group.endswith(_MEASURED)
