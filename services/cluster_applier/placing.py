"""Where the objects of a bundle are in one cluster: which path, and which namespace."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from services.cluster_applier.discovery import Discovery, Resource
from services.cluster_applier.domain.plan import Wanted
from shared.bundle.chunks import Entry
from shared.bundle.format import Bundle
from shared.manifests import ObjectId

SLICE = 500
"""Objects that are placed in one go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """The objects of a bundle."""

    known: tuple[Wanted, ...]
    unknown: tuple[Wanted, ...]
    """Of kinds that the cluster does not serve, or not yet; without a path."""
    resources: frozenset[Resource]
    default_namespace: str = ""
    """Where objects are that name no namespace."""
    generation: int = -1
    """Of the discovery that placed them."""

    def joined(self, late: "Placed") -> "Placed":
        """Return the same with what was placed *late*, of what was unknown."""
        return Placed(
            known=(*self.known, *late.known),
            unknown=late.unknown,
            resources=self.resources | late.resources,
        )


NOTHING = Placed(known=(), unknown=(), resources=frozenset())


async def placed(bundle: Bundle, discovery: Discovery, before: Placed = NOTHING) -> Placed:
    """Return where every object of *bundle* is; of what was placed *before*, it is known."""
    header, generation = bundle.header, discovery.generation
    if (before.default_namespace, before.generation) != (header.default_namespace, generation):
        before = NOTHING
    there = {(one.entry.id, one.entry.version): one for one in before.known}
    found = await _place(bundle.objects, header.default_namespace, discovery, there)
    kinds = {one.id.key for one in found.known}
    known = {one for one in before.resources if one.key in kinds}
    return replace(
        found,
        resources=found.resources | known,
        default_namespace=header.default_namespace,
        generation=discovery.generation,
    )


async def placed_late(bundle: Bundle, unknown: Iterable[Wanted], discovery: Discovery) -> Placed:
    """Look once more for kinds that were unknown: they may have been defined a moment ago."""
    discovery.forget()
    entries = (one.entry for one in unknown)
    return await _place(entries, bundle.header.default_namespace, discovery)


async def resources(names: Iterable[str], discovery: Discovery) -> set[Resource]:
    """Return the kinds of objects, given by their ids."""
    kinds = {named.key for named in map(ObjectId.parse, names)}
    found = [await discovery.preferred(*kind) for kind in kinds]
    return {resource for resource in found if resource is not None}


async def _place(
    entries: Iterable[Entry],
    default_namespace: str,
    discovery: Discovery,
    there: Mapping[tuple[str, str], Wanted] = MappingProxyType({}),
) -> Placed:
    known, unknown, kinds = [], [], set()
    for number, entry in enumerate(entries):
        if number % SLICE == 0:
            await asyncio.sleep(0)  # thousands take long enough for others to be late
        before = there.get((entry.id, entry.version))
        if before is not None:
            known.append(before if before.entry is entry else replace(before, entry=entry))
            continue
        named = entry.object_id
        resource = await discovery.find(named, entry.version)
        if resource is None:
            unknown.append(Wanted(id=named, entry=entry, path=""))
            continue
        namespace = (named.namespace or default_namespace) if resource.namespaced else ""
        where = resource.path(namespace, named.name)
        known.append(Wanted(id=replace(named, namespace=namespace), entry=entry, path=where))
        kinds.add(resource)
    return Placed(known=tuple(known), unknown=tuple(unknown), resources=frozenset(kinds))
