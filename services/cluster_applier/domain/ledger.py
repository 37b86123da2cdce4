"""
What is ours on one target, and what each event of a watch means to it.

An object that is being applied is *in flight*: its events are judged when the answer is there,
since our own writes are no drift.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.cluster_applier.domain.drift import CHANGED, DELETED, SCALED, Drift
from services.cluster_applier.domain.inventory import ANY, Inventory
from services.cluster_applier.domain.ownership import last_manager, ours, wrote_last
from services.cluster_applier.domain.scaling import Scaling
from services.cluster_applier.domain.takeover import owns_replicas
from shared.manifests import ObjectId, Policies


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An object as a watch shows it."""

    id: str
    fields: str
    """Empty where it is gone."""
    version: int
    manager: str
    at: float
    ignored: bool = False
    """Somebody annotated it so that we leave it alone."""
    scales: bool = False
    """Its replicas are ours."""
    gone: bool = False
    managed: tuple[Mapping[str, Any], ...] = ()
    """Its managedFields."""
    by_us: bool = False
    """Flux itself wrote to it last."""

    @classmethod
    def of(cls, named: ObjectId, metadata: Mapping[str, Any], at: float, *, gone: bool) -> "Seen":
        """Return what *metadata* tells of an object."""
        return cls(
            id=str(named),
            fields="" if gone else ours(metadata),
            version=number(metadata.get("resourceVersion")),
            manager=last_manager(metadata),
            at=at,
            ignored=not gone and ignored(metadata),
            scales=not gone and owns_replicas(metadata),
            gone=gone,
            managed=() if gone else tuple(metadata.get("managedFields") or ()),
            by_us=not gone and wrote_last(metadata),
        )


@dataclass(slots=True)
class Ledger:
    """Which sync owns which object, and the fields that it must have."""

    _owners: dict[str, str] = field(default_factory=dict)
    _fields: dict[str, str] = field(default_factory=dict)
    _versions: dict[str, int] = field(default_factory=dict)
    """Of what we applied: what is older was read before, and tells nothing."""
    _in_flight: dict[str, Seen | None] = field(default_factory=dict)
    _ignored: set[str] = field(default_factory=set)
    _scaling: set[str] = field(default_factory=set)
    scalers: Scaling = field(default_factory=Scaling)
    """Who else scales what."""

    def claim(self, inventory: Inventory) -> None:
        """Take over what an inventory says of its sync."""
        for name in [name for name, sync in self._owners.items() if sync == inventory.sync]:
            if name not in inventory.objects:
                self.release(name)
        for name, applied in inventory.objects.items():
            if self._owners.setdefault(name, inventory.sync) == inventory.sync and applied.fields:
                self._fields[name] = applied.fields
                self._versions.pop(name, None)  # of a cluster that was restored they are less

    def owner(self, name: str) -> str | None:
        """Return the sync that owns an object."""
        return self._owners.get(name)

    def ignored(self, name: str) -> bool:
        """Tell whether somebody wants us to leave an object alone."""
        return name in self._ignored

    def scales(self, name: str) -> bool:
        """Tell whether an object's replicas are ours, as far as it was seen."""
        return name in self._scaling

    def in_flight(self, name: str) -> bool:
        """Tell whether an object is being applied."""
        return name in self._in_flight

    def announce(self, name: str, sync: str) -> None:
        """Note that a sync is about to apply an object that is nobody's."""
        self._owners.setdefault(name, sync)

    def take(self, name: str, sync: str) -> None:
        """Give an object to another sync."""
        self._owners[name] = sync

    def release(self, name: str) -> None:
        """Forget an object: it is about to be deleted."""
        self._owners.pop(name, None)
        self._fields.pop(name, None)
        self._versions.pop(name, None)

    def fields(self, name: str) -> tuple[str, str]:
        """Return owner and fields of an object, to restore them by."""
        return self._owners.get(name, ""), self._fields.get(name, "")

    def restore(self, name: str, known: tuple[str, str]) -> None:
        """Own an object again: it could not be deleted."""
        owner, fields = known
        if owner:
            self._owners[name] = owner
        if fields:
            self._fields[name] = fields

    def begin(self, name: str) -> None:
        """Note that an object is being applied."""
        self._in_flight[name] = None

    def end(self, name: str, sync: str, fields: str, version: int) -> Drift | None:
        """Note the answer; return drift that came after it, though it was seen before."""
        seen = self._in_flight.pop(name, None)
        self._owners.setdefault(name, sync)
        self._fields[name] = fields
        self._versions[name] = version
        if seen is None or seen.version <= version or _is_as(seen, fields):
            return None
        return _drift(seen)

    def abandon(self, name: str) -> None:
        """Note that an object could not be applied."""
        self._in_flight.pop(name, None)

    def judge(self, seen: Seen) -> tuple[str, Drift] | None:
        """Return the sync and the drift that *seen* shows, if it does."""
        expected = self._fields.get(seen.id)
        again = seen.id in self._ignored and not seen.ignored
        (self._ignored.add if seen.ignored else self._ignored.discard)(seen.id)
        (self._scaling.add if seen.scales else self._scaling.discard)(seen.id)
        if seen.id in self._in_flight:
            self._in_flight[seen.id] = seen
            return None
        if expected is None or seen.ignored or self._is_older(seen.id, seen.version):
            return None
        if not _is_as(seen, expected) or again:
            return self._owners[seen.id], _drift(seen)
        if seen.scales and self.scalers.governs(seen.id):
            return self._owners[seen.id], _scaled(seen.at)
        return None

    def scaler(
        self, named: ObjectId, value: Mapping[str, Any] | None, at: float
    ) -> Iterable[tuple[str, str, Drift]]:
        """Take in an autoscaler; yield sync and id of what is to be applied anew, if it is ours."""
        for name in self.scalers.see(named, value):
            is_new = self.scalers.governs(name)
            if name in self._fields and self.scales(name) == is_new:
                yield self._owners[name], name, _scaled(at)

    def missing(
        self, kind: tuple[str, str], there: Iterable[str], at: float, version: int = 0
    ) -> Iterable[Seen]:
        """
        Return what we own of a group and kind and is not *there*.

        *version* is that of the list; what was applied since could not be in it.
        """
        found = frozenset(there)
        for name in list(self._fields):
            named = ObjectId.parse(name)
            if named.key == kind and name not in found and not self._is_older(name, version):
                yield Seen(id=name, fields="", version=0, manager="", at=at, gone=True)

    def _is_older(self, name: str, version: int) -> bool:
        """Tell whether what was read in a *version* was so before we applied an object."""
        return 0 < version < self._versions.get(name, 0)


def _is_as(seen: Seen, expected: str) -> bool:
    return seen.fields == expected or (expected == ANY and not seen.gone)


def _drift(seen: Seen) -> Drift:
    what = DELETED if seen.gone else CHANGED
    return Drift(
        what=what,
        manager=seen.manager,
        seen=seen.at,
        version=seen.version,
        managed=seen.managed,
        fields=seen.fields,
        by_us=seen.by_us,
    )


def _scaled(at: float) -> Drift:
    return Drift(what=SCALED, manager="", seen=at)


def ignored(metadata: Mapping[str, Any]) -> bool:
    """Tell whether an object in the cluster says that we must leave it alone."""
    return Policies.of({"metadata": metadata}).unapplied


def number(version: object) -> int:
    """Return a resourceVersion as the number that it is in practice; 0 where it is none."""
    return int(version) if isinstance(version, str | int) and str(version).isdigit() else 0
