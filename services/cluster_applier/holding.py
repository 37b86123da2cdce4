"""Why one sync is not applied now: somebody suspended it, or it waits for others."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog

from services.cluster_applier.domain.inventory import Inventory
from services.cluster_applier.settings import SyncSettings
from shared.bundle.format import Header
from shared.contract import Message, SyncHeld

logger = structlog.get_logger(__name__)


class Other(Protocol):
    """Another sync, as far as one waits for it."""

    async def standing(self) -> Inventory:
        """Return what the cluster says of it now, whoever works on it."""


class Holding:
    """Of one sync."""

    def __init__(self, settings: SyncSettings, others: Mapping[str, Other]) -> None:
        self._settings = settings
        self._others = others
        self._told = ""
        self._passed = ""
        """The revision for which all others were ready once."""

    async def waits(self, header: Header) -> str:
        """Return for which other syncs a bundle has to wait; empty for none."""
        if self._passed == header.revision:
            return ""
        names = self._settings.depends_on
        waits = [name for name in names if not await self._is_ready(name, header)]
        if not waits:
            self._passed = header.revision
            return ""
        return f"it waits until {' and '.join(waits)} is applied and ready"

    async def _is_ready(self, name: str, header: Header) -> bool:
        other = await self._others[name].standing()
        if not other.ready or other.ready != other.revision:
            return False
        # Of the same repository at this revision or a later one: what it needs may be new, too.
        return other.repository != header.repository or other.height >= header.height

    def hold(self, reason: str, revision: str, *, suspended: bool = False) -> Sequence[Message]:
        """Return what is to be told where the sync is held, or (without a *reason*) no more."""
        if reason == self._told:
            return ()
        self._told = reason
        logger.info("sync held" if reason else "sync goes on", sync=self._settings.name, why=reason)
        held = SyncHeld(
            sync=self._settings.name,
            target=self._settings.target,
            revision=revision,
            reason=reason,
            suspended=suspended,
        )
        return (held,)
