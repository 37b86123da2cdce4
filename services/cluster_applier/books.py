"""What one sync knows of what it applied, in memory and in the cluster's inventory."""

from collections.abc import Collection, Mapping

from services.cluster_applier import placing
from services.cluster_applier.apply import Applying
from services.cluster_applier.domain.inventory import Applied, Inventory, Removal
from services.cluster_applier.domain.plan import Plan
from services.cluster_applier.inventory_store import CONFIRMED
from services.cluster_applier.look import Look
from services.cluster_applier.prune import Pruning
from services.cluster_applier.target import Target
from shared.contract import ObjectResult
from shared.runtime.errors import TemporaryError


class Books:
    """The inventory of one sync, written before anything new and after everything."""

    def __init__(self, sync: str, target: Target, removal: Removal | None = None) -> None:
        self.carried: list[ObjectResult] = []
        """What was done in a round that did not end, to be told with the next one."""
        self._sync = sync
        self._target = target
        self._removal = removal
        self._inventory: Inventory | None = None
        self._unwritten = False
        """Something is remembered that the cluster does not hold yet."""

    async def known(self) -> Inventory:
        """Return what was applied; read from the cluster where that is not certain."""
        if self._inventory is None:
            self._inventory = await self._target.known(self._sync)
            kinds = await placing.resources(self._inventory.objects, self._target.discovery)
            self._target.watches.ensure(kinds)
        return self._inventory

    async def announce(self, todo: Plan) -> None:
        """
        Write down what is new before it is applied: a crash must not make us forget it.

        Where another process worked on the sync before, its claim becomes ours, so that it stops
        at its next look.
        """
        inventory = await self.known()
        new = {str(one.id): Applied() for one in todo.apply if str(one.id) not in inventory.objects}
        if new or (todo.apply and not self._is_ours(inventory)):
            # What is new must not make what goes look like less.
            more = {"objects": {**inventory.objects, **new}, "before": inventory.base}
            await self._save(inventory.model_copy(update=more))
        if new:
            await self._target.look_around(self._sync, new)

    async def recover(self, found: Mapping[str, Applied]) -> None:
        """Take in again what was *found* by its marks."""
        inventory = await self.known()
        objects = {**found, **inventory.objects}
        self._inventory = inventory.model_copy(update={"objects": objects})

    async def claim(self) -> None:
        """Make the inventory ours, if it is not yet."""
        inventory = await self.known()
        if not self._is_ours(inventory):
            await self._save(inventory)

    async def confirm(self, *, at_most: float = CONFIRMED) -> None:
        """
        Return if the sync is still ours to work on.

        Raises:
            TemporaryError: another process works on it; what it wrote is read next time.
        """
        try:
            await self._target.inventories.confirm(self._sync, at_most=at_most)
        except TemporaryError:
            self._inventory = None
            raise

    def remember(self, applying: Applying, pruning: Pruning | None = None) -> None:
        """Keep what was done so far, though the round does not end."""
        done = [*applying.results, *(pruning.results if pruning else ())]
        self.carried = [one for one in done if one.action != "failed"]
        if self._inventory is not None:
            gone = pruning.forgotten if pruning else ()
            self._inventory = _merged(self._inventory, applying, gone)
            self._unwritten = True

    async def unmark(self) -> None:
        """Write down that the objects stay when the sync is removed, if they were to go."""
        inventory = await self.known()
        if inventory.removal and not self._removal:
            await self._save(inventory.model_copy(update={"removal": None}))

    async def suspend(self, reason: str) -> None:
        """Write down why the sync is to rest; without a *reason* it goes on."""
        inventory = await self.known()
        if inventory.suspended != reason:
            await self._save(inventory.model_copy(update={"suspended": reason}))

    async def keep(self, look: Look, *, ready: bool) -> None:
        """
        Write the inventory, last of all, if it says anything new.

        *ready*: whether all of the revision is applied and, where that is waited for, ready.
        """
        header, applying, pruning = look.header, look.applying, look.pruning
        known = await self.known()
        merged = _merged(known, applying, pruning.forgotten).model_copy(
            update={
                "repository": header.repository,
                "revision": header.revision,
                "height": header.height,
                "generation": header.generation,
                "before": known.base if look.kept else 0,
                "ready": header.revision if ready else "",
                "removal": self._removal
                and self._removal.model_copy(update={"mark_set": header.mark_set}),
            }
        )
        if merged != known or self._unwritten:
            await self._save(merged)
        self.carried = []

    def _is_ours(self, inventory: Inventory) -> bool:
        return inventory.claim == self._target.inventories.identity

    async def _save(self, inventory: Inventory) -> None:
        identity = self._target.inventories.identity
        inventory = inventory.model_copy(update={"claim": identity, "lost": ""})
        try:
            await self._target.inventories.save(inventory)
        except BaseException:
            self._inventory = None  # read again what the cluster holds
            raise
        self._inventory, self._unwritten = inventory, False


def _merged(inventory: Inventory, applying: Applying, gone: Collection[str]) -> Inventory:
    objects = {**inventory.objects, **applying.applied}
    for name in gone:
        objects.pop(name, None)
    return inventory.model_copy(update={"objects": objects})
