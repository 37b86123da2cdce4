"""
What the other syncs of a target declare: an object may move from one to another.

Then nobody deletes it: the old owner lets it go, the new one takes it as it is.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace

from services.cluster_applier.decrypting import Decrypting
from services.cluster_applier.domain.inventory import Inventory
from shared.bundle.format import Bundle, Header
from shared.bundle.store import Shelf
from shared.runtime.tasks import each

AT_ONCE = 8
PATIENCE = 12
"""So many looks at a sync that was not declared at a revision yet, though its sibling was."""


class Siblings:
    """The syncs of one target, each with its newest bundle."""

    def __init__(self, decrypting: Decrypting) -> None:
        self._decrypting = decrypting
        self._shelves: dict[str, Shelf] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._waited: dict[str, str] = {}
        """By sync: the revision that was waited for in vain; once is enough."""
        self._ids: dict[str, tuple[str, frozenset[str]]] = {}

    def join(self, sync: str, shelf: Shelf) -> None:
        """Add a sync."""
        self._shelves[sync] = shelf
        self._turns[sync] = asyncio.Lock()

    def __len__(self) -> int:
        """Return how many syncs the target has."""
        return len(self._shelves)

    def __contains__(self, sync: object) -> bool:
        """Tell whether a sync of that name belongs to the target."""
        return sync in self._shelves

    async def declares(self, sync: str, name: str, header: Header) -> bool:
        """Tell whether *sync* declares an object, at the revision of *header* if they share one."""
        bundle = await self._newest(sync, header)
        if bundle is None:
            return True
        opened = await self._decrypting.opened(bundle)
        return bool(opened.unread) or name in self._declared(sync, opened.bundle)

    async def wanting(
        self, header: Header, names: Collection[str]
    ) -> tuple[Mapping[str, str], str]:
        """
        Return who else declares which of *names*.

        With it half a sentence, if of somebody that is not known.
        """
        others = [sync for sync in self._shelves if sync != header.sync]
        found: dict[str, str] = {}
        late: list[str] = []

        async def look(sync: str) -> None:
            bundle = await self._newest(sync, header)
            if bundle is None:
                return
            opened = await self._decrypting.opened(bundle)
            found.update(dict.fromkeys(self._declared(sync, opened.bundle) & set(names), sync))
            if _is_behind(bundle.header, header):
                late.append(f"the sync {sync} was not read at this revision yet")
            elif opened.unread:
                late.append(f"not all of the sync {sync} can be read")

        await each(others, look, at_once=AT_ONCE, name="siblings")
        return found, min(late, default="")

    async def declaring(
        self, names: Collection[str], applied: Mapping[str, Inventory], generation: int
    ) -> tuple[Mapping[str, str], str]:
        """
        Return who declares which of *names*.

        With it half a sentence, if not all is *applied* that a `flux.yaml` of *generation* or a
        later one declares: what is nobody's yet may be somebody's then.
        """
        found: dict[str, str] = {}
        late: list[str] = []

        async def look(sync: str) -> None:
            async with self._turns[sync]:
                bundle = await self._shelves[sync].newest()
            if bundle is None or bundle.header.generation < generation:
                late.append(f"the sync {sync} is not declared yet by generation {generation}")
                return
            opened = await self._decrypting.opened(bundle)
            found.update(dict.fromkeys(self._declared(sync, opened.bundle) & set(names), sync))
            if opened.unread or bundle.header.problems:
                late.append(f"not all of the sync {sync} can be read")
            elif not _is_applied(bundle.header, applied.get(sync)):
                late.append(f"the sync {sync} is not applied yet as it is declared")

        await each(list(self._shelves), look, at_once=AT_ONCE, name="siblings")
        return found, min(late, default="")

    async def _newest(self, sync: str, header: Header) -> Bundle | None:
        """Return the bundle of a sibling; of the same repository wait for the same revision."""
        shelf = self._shelves.get(sync)
        if shelf is None:
            return None
        async with self._turns[sync]:  # many ask about many objects: one waits for all
            bundle = shelf.last or await shelf.newest()
            patience = 1 if self._waited.get(sync) == header.revision else PATIENCE
            for _ in range(patience):
                if bundle is None or not _is_behind(bundle.header, header):
                    return bundle
                bundle = await shelf.newest()
            self._waited[sync] = header.revision
            return bundle

    def _declared(self, sync: str, bundle: Bundle) -> frozenset[str]:
        known = self._ids.get(sync)
        if known is None or known[0] != bundle.digest:
            known = self._ids[sync] = bundle.digest, frozenset(_ids(bundle))
        return known[1]


def _is_applied(header: Header, inventory: Inventory | None) -> bool:
    if inventory is None or inventory.repository != header.repository:
        return False
    done = inventory.revision, inventory.generation
    return done == (header.revision, header.generation)


def _is_behind(other: Header, header: Header) -> bool:
    same = other.repository == header.repository and other.branch == header.branch
    return same and header.revision not in {other.revision, *other.ancestors}


def _ids(bundle: Bundle) -> set[str]:
    """Return the ids of all objects, those without a namespace also in the default one."""
    found: set[str] = set()
    for entry in bundle.objects:
        found.add(entry.id)
        named = entry.object_id
        if not named.namespace:
            found.add(str(replace(named, namespace=bundle.header.default_namespace)))
    return found | set(bundle.header.skipped)
