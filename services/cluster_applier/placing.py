"""Where the objects of a bundle are in one cluster: which path, and which namespace."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from services.cluster_applier.discovery import Discovery, Resource
from services.cluster_applier.domain.plan import Wanted
from shared.bundle.chunks import Chunk, Entry
from shared.bundle.format import Bundle
from shared.manifests import ObjectId

SLICE = 500
"""Objects that are placed in one go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """The objects of a bundle, or of a part of it."""

    known: tuple[Wanted, ...] = ()
    unknown: tuple[Wanted, ...] = ()
    """Of kinds that the cluster does not serve, or not yet; without a path."""
    resources: frozenset[Resource] = frozenset()
    moved: bool = False
    """Whether any has another namespace here than its manifest says, or says not."""
    twice: tuple[tuple[Wanted, Wanted], ...] = ()
    """What is another declaration of an object that is known, and that one."""

    def joined(self, late: "Placed") -> "Placed":
        """Return the same with what was placed *late*, of what was unknown."""
        return Placed(
            known=(*self.known, *late.known),
            unknown=late.unknown,
            resources=self.resources | late.resources,
            twice=(*self.twice, *late.twice),
        )

    def once(self) -> "Placed":
        """Return the same with each object once: the first of those that are one here."""
        if not self.moved:
            return self
        first: dict[ObjectId, Wanted] = {}
        for one in sorted(self.known, key=lambda one: (one.entry.file, one.entry.line)):
            first.setdefault(one.id, one)
        known = tuple(one for one in self.known if first[one.id] is one)
        twice = tuple((one, first[one.id]) for one in self.known if first[one.id] is not one)
        return replace(self, known=known, twice=twice)


NOTHING = Placed()


class Placing:
    """Places the bundles of one sync; a part that stays the same is placed once."""

    def __init__(self, discovery: Discovery) -> None:
        self._discovery = discovery
        self._parts: list[tuple[Chunk, Placed]] = []
        self._where = ("", -1)
        """What places depend on: the default namespace, and the discovery that was asked."""
        self._digest = ""
        """Of the bundle that was placed as a whole."""
        self._placed = NOTHING

    async def placed(self, bundle: Bundle) -> Placed:
        """Return where every object of *bundle* is."""
        where = bundle.header.default_namespace, self._discovery.generation
        if (self._digest, self._where) != (bundle.digest, where) or self._placed.unknown:
            known = {id(chunk): one for chunk, one in self._parts} if self._where == where else {}
            self._parts = [
                (chunk, await self._part(chunk, where[0], known.get(id(chunk))))
                for chunk in bundle.chunks
            ]
            self._placed = _joined([one for _, one in self._parts]).once()
            self._digest, self._where = bundle.digest, where
        return self._placed

    async def _part(self, chunk: Chunk, namespace: str, before: Placed | None) -> Placed:
        if before is None or before.unknown:
            return await _place(chunk.objects, namespace, self._discovery)
        return before


def _joined(parts: Sequence[Placed]) -> Placed:
    return Placed(
        known=tuple(one for part in parts for one in part.known),
        unknown=tuple(one for part in parts for one in part.unknown),
        resources=frozenset().union(*(part.resources for part in parts)),
        moved=any(part.moved for part in parts),
    )


async def placed_late(bundle: Bundle, unknown: Iterable[Wanted], discovery: Discovery) -> Placed:
    """Look once more for kinds that were unknown: they may have been defined a moment ago."""
    discovery.forget()
    entries = (one.entry for one in unknown)
    return (await _place(entries, bundle.header.default_namespace, discovery)).once()


async def resources(names: Iterable[str], discovery: Discovery) -> set[Resource]:
    """Return the kinds of objects, given by their ids."""
    kinds = {named.key for named in map(ObjectId.parse, names)}
    found = [await discovery.preferred(*kind) for kind in kinds]
    return {resource for resource in found if resource is not None}


async def _place(entries: Iterable[Entry], default_namespace: str, discovery: Discovery) -> Placed:
    known, unknown, kinds, moved = [], [], set(), False
    for number, entry in enumerate(entries):
        if number % SLICE == 0:
            await asyncio.sleep(0)  # thousands take long enough for others to be late
        named = entry.object_id
        resource = await discovery.find(named, entry.version)
        if resource is None:
            unknown.append(Wanted(id=named, entry=entry, path=""))
            continue
        namespace = (named.namespace or default_namespace) if resource.namespaced else ""
        where = resource.path(namespace, named.name)
        known.append(Wanted(id=replace(named, namespace=namespace), entry=entry, path=where))
        kinds.add(resource)
        moved = moved or namespace != named.namespace
    return Placed(
        known=tuple(known), unknown=tuple(unknown), resources=frozenset(kinds), moved=moved
    )
