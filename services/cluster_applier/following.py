"""Follows the inventories that other replicas write: who watches must know what is whose."""

import asyncio
import random
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, Protocol

import structlog

from services.cluster_applier.answers import Event
from services.cluster_applier.domain.inventory import Inventory
from services.cluster_applier.inventory_store import SELECTOR, InventoryStore
from services.cluster_applier.kube import Kube
from services.cluster_applier.reach import Reach
from shared.runtime.errors import TemporaryError
from shared.runtime.lifecycle import unless_stopped

logger = structlog.get_logger(__name__)

_WHO = "inventories"
PAUSE = 1.0
LONGEST = 30.0
"""Seconds between two tries, first and at most."""


class Taken(Protocol):
    """Told an inventory that another process wrote, and whether it did just now."""

    async def __call__(self, inventory: Inventory, *, now: bool) -> None:
        """Take it in."""


class Following:
    """The inventories of one target, as others write them."""

    def __init__(self, kube: Kube, inventories: InventoryStore, reach: Reach, taken: Taken) -> None:
        self._kube = kube
        self._inventories = inventories
        self._reach = reach
        self._taken = taken

    async def run(self, stop: asyncio.Event) -> None:
        """Follow until *stop*."""
        delay = PAUSE
        while not stop.is_set():
            async with unless_stopped(stop):
                try:
                    await self._follow(await self._list())
                    delay = PAUSE
                except TemporaryError as error:
                    await self._reach.lost(_WHO, error)
                    delay = min(delay * 2, LONGEST)
                await self._reach.rest(delay * random.uniform(0.5, 1.5))  # noqa: S311 - jitter

    async def _list(self) -> str:
        answer = await self._kube.get(self._inventories.collection, labelSelector=SELECTOR)
        if not answer.ok:
            raise self._refusal("list", answer.reason)
        await self._reach.found(_WHO)
        for item in answer.body.get("items") or ():
            await self._take(item, now=False)
        return str(answer.metadata.get("resourceVersion", ""))

    async def _follow(self, version: str) -> None:
        events = self._kube.watch(
            self._inventories.collection,
            accept="application/json",
            labelSelector=SELECTOR,
            resourceVersion=version,
            timeoutSeconds=str(random.randint(240, 360)),  # noqa: S311 - spread, no secret
        )
        async with aclosing(events):
            async for event in events:
                if event.type == "ERROR":
                    self._ended(event)
                    return
                if event.type in {"ADDED", "MODIFIED"}:
                    await self._take(event.object, now=True)

    def _ended(self, event: Event) -> None:
        reason, code = str(event.object.get("message")), event.object.get("code")
        logger.debug("watch of inventories ended", reason=reason)
        if code == 403:
            raise self._refusal("watch", reason)

    async def _take(self, item: Mapping[str, Any], *, now: bool) -> None:
        found = await self._inventories.others(item)
        if found is not None:
            await self._taken(found, now=now)

    def _refusal(self, verb: str, reason: str) -> TemporaryError:
        where = f"{self._kube.name}, {verb} of configmaps in {self._inventories.namespace}"
        return TemporaryError(
            where, f"{reason}; allow the verbs list and watch of configmaps there"
        )
