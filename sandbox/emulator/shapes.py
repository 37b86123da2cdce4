"""
What values may look like: which fields they have, and how their lists and maps merge.

Shapes come from `recorded.json` for built-in kinds and from the schema in its definition for a
custom resource.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal


@dataclass(slots=True, eq=False)
class Shape:
    """
    The shape of a value.

    Fields may hold the shape that they are in (a schema describes schemas), so it is filled in
    after it was made; later nobody changes it.
    """

    kind: Literal["scalar", "struct", "map", "list", "free"]
    atomic: bool = False  # owned and replaced as a whole
    fields: dict[str, "Shape"] = field(default_factory=dict)
    embedded: frozenset[str] = frozenset()  # fields that are there even where nobody set them
    element: "Shape | None" = None  # of a map's values or a list's items
    keys: tuple[str, ...] = ()  # what tells the items of a list apart
    is_set: bool = False
    merge_key: str | None = None  # for strategic merge patches; "" for lists of plain values
    default: object = None

    def child(self, name: str) -> "Shape | None":
        """Return the shape of the entry *name* of a map or struct; None where unknown."""
        return self.fields.get(name, self.element)

    @property
    def is_granular(self) -> bool:
        """Tell whether parts of such a value have owners of their own."""
        if self.kind == "list":
            return bool(self.keys) or self.is_set
        return self.kind != "scalar" and not self.atomic

    def empty(self) -> Any:
        """Return what there is of such a value before anybody sets a part of it."""
        if self.kind == "list":
            return []
        return {name: self.fields[name].empty() for name in self.embedded}


SCALAR = Shape("scalar")
FREE = Shape("free")  # nothing is known: maps merge, lists are replaced
FREE.element = FREE


class Shapes:
    """The named shapes of the built-in kinds."""

    def __init__(self, recorded: Mapping[str, Any]) -> None:
        self._recorded = recorded
        self._made: dict[str, Shape] = {}

    def named(self, name: str) -> Shape:
        """Return the shape that is recorded under *name*."""
        if name not in self._made:
            made = self._made[name] = Shape("scalar")
            _copy(self._read(self._recorded[name]), made)
        return self._made[name]

    def _read(self, said: Mapping[str, Any]) -> Shape:
        if "ref" in said:
            shape = self.named(said["ref"])
            return replace(shape, atomic=True) if said.get("atomic") else shape
        if "list" in said:
            return Shape(
                "list",
                element=self._read(said["list"]),
                keys=tuple(said.get("keys", ())),
                is_set=said.get("set", False),
                merge_key=said.get("merge"),
            )
        atomic = said.get("atomic", False)
        if "fields" in said:
            fields = {name: self._read(inner) for name, inner in said["fields"].items()}
            always = frozenset(n for n, inner in said["fields"].items() if inner.get("embedded"))
            return Shape("struct", atomic=atomic, fields=fields, embedded=always)
        if "map" in said:
            return Shape("map", atomic=atomic, element=self._read(said["map"]))
        return Shape("scalar", default=said.get("default"))


def of_schema(schema: Mapping[str, Any]) -> Shape:
    """Return the shape that a custom resource's schema describes."""
    free = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    atomic = schema.get("x-kubernetes-map-type") == "atomic"
    if schema.get("type") == "array":
        return Shape(
            "list",
            element=of_schema(schema.get("items", {})),
            keys=tuple(schema.get("x-kubernetes-list-map-keys", ())),
            is_set=schema.get("x-kubernetes-list-type") == "set",
        )
    if "properties" in schema:
        fields = {name: of_schema(inner) for name, inner in schema["properties"].items()}
        return Shape("struct", atomic=atomic, fields=fields, element=FREE if free else None)
    if isinstance(more := schema.get("additionalProperties"), Mapping):
        return Shape("map", atomic=atomic, element=of_schema(more))
    if schema.get("type") == "object" or free:
        return FREE if free else Shape("struct", atomic=atomic)
    return Shape("scalar", default=schema.get("default"))


def _copy(source: Shape, target: Shape) -> None:
    for name in Shape.__dataclass_fields__:
        setattr(target, name, getattr(source, name))
