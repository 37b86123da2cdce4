"""What one sync declares: the newest bundle, and whether it may be applied."""

import structlog

from services.cluster_applier.domain.asked import Asked
from services.cluster_applier.domain.fence import Verdict, judge
from services.cluster_applier.domain.inventory import Inventory
from services.cluster_applier.settings import SyncSettings
from shared.bundle.format import Bundle
from shared.bundle.sealing import Opener
from shared.bundle.store import Shelf
from shared.bus.port import Bus
from shared.contract import Draft, PollRequested

logger = structlog.get_logger(__name__)


class Declared:
    """The bundles of one sync."""

    def __init__(self, settings: SyncSettings, bus: Bus, opener: Opener | None) -> None:
        self.shelf = Shelf(bus, settings.target, settings.name, opener=opener)
        self._settings = settings
        self._bus = bus
        self._doubted = ""
        """The digest of a bundle that may be an old one: a poll was asked for to confirm it."""

    @property
    def revision(self) -> str:
        """The one of the newest bundle that was read; empty for none."""
        return self.shelf.last.header.revision if self.shelf.last else ""

    async def judged(self, asked: Asked, inventory: Inventory) -> tuple[Bundle | None, Verdict]:
        """Return the bundle that there is, and whether it may be applied."""
        bundle = await self._bundle(asked)
        if bundle is None:
            await self._poll_again("there is none yet")
            return None, Verdict.STALE
        return bundle, await self._verdict(bundle, inventory, asked)

    async def _verdict(self, bundle: Bundle, inventory: Inventory, asked: Asked) -> Verdict:
        """Judge a bundle; one in doubt counts once a fresh poll has declared it again."""
        verdict = judge(bundle.header, inventory)
        if verdict is Verdict.GO:
            self._doubted = ""
        elif self._doubted != bundle.digest:
            self._doubted = bundle.digest
            await self._poll_again(f"{bundle.header.revision[:12]} may be an old one")
        elif asked.digest == bundle.digest:
            return Verdict.GO
        return verdict

    async def _bundle(self, asked: Asked) -> Bundle | None:
        """
        Return what is to be applied; where nobody names another, what was applied last.

        Reading to the end of the stream takes a quarter of a second; for a timer nobody waits.
        """
        if self.shelf.last and not asked.digest and not asked.timer:
            return self.shelf.last
        return await self.shelf.newest(asked.digest)

    async def _poll_again(self, why: str) -> None:
        """Ask git-watcher for the bundle of the head."""
        logger.info("asking for a bundle", sync=self._settings.name, why=why)
        signal = PollRequested(repository=self._settings.repository, reason="again")
        await self._bus.publish(Draft(message=signal))
