"""The kinds that are served: built-in ones as recorded, custom ones as they are defined."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.emulator.shapes import FREE, Shape, Shapes, of_schema

_RECORDED = Path(__file__).parent / "recorded.json"
# Kinds of these groups count the changes of what is wanted in `metadata.generation`.
_COUNTING = {"apps", "batch", "networking.k8s.io", "policy", "apiextensions.k8s.io"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One served kind in one version."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[Mapping[str, str], ...] = ()
    shape: Shape = field(compare=False, repr=False)
    is_custom: bool = False
    since: int = 0  # the resource version at which it was defined

    @property
    def group_version(self) -> str:
        """Its `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """Its name in messages: ``deployments.apps``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def storage(self) -> tuple[str, str]:
        """What its objects are stored under, in whatever version."""
        return (self.group, self.plural)

    @property
    def has_status(self) -> bool:
        """Tell whether the status is written apart from the rest."""
        return any(sub["name"] == "status" for sub in self.subresources)

    @property
    def counts_generations(self) -> bool:
        """Tell whether `metadata.generation` is kept."""
        return self.is_custom or self.group in _COUNTING


class Kinds:
    """All kinds that are served now."""

    def __init__(self) -> None:
        recorded = json.loads(_RECORDED.read_text())
        self.version: Mapping[str, str] = recorded["version"]
        self._shapes = Shapes(recorded["types"])
        self._all: dict[tuple[str, str], Resource] = {}
        for said in recorded["resources"]:
            self.add(self._built_in(said))

    def __iter__(self) -> Iterator[Resource]:
        return iter(list(self._all.values()))

    def add(self, resource: Resource) -> None:
        """Serve *resource* from now on."""
        self._all[resource.group_version, resource.plural] = resource

    def remove_custom(self, group: str, plural: str) -> None:
        """Serve a custom kind no longer, in no version."""
        for key in [key for key, it in self._all.items() if it.storage == (group, plural)]:
            del self._all[key]

    def find(self, group_version: str, plural: str) -> Resource | None:
        """Return what is served under a path."""
        return self._all.get((group_version, plural))

    def built_in(self, group_version: str, plural: str) -> Resource:
        """Return a kind that is always served."""
        return self._all[group_version, plural]

    def groups(self) -> Mapping[str, list[str]]:
        """Return the versions of each group."""
        found: dict[str, list[str]] = {}
        for resource in self._all.values():
            versions = found.setdefault(resource.group, [])
            if resource.version not in versions:
                versions.append(resource.version)
        return found

    def custom(self, definition: Mapping[str, Any], *, since: int) -> Iterator[Resource]:
        """Return the kinds that a CustomResourceDefinition defines, one a version."""
        spec = definition["spec"]
        names = spec["names"]
        for version in spec["versions"]:
            if not version.get("served", True):
                continue
            subresources = tuple(
                {"name": name, "kind": names["kind"]}
                for name in version.get("subresources", {})
                if name == "status"
            )
            yield Resource(
                group=spec["group"],
                version=version["name"],
                kind=names["kind"],
                plural=names["plural"],
                singular=names.get("singular") or names["kind"].lower(),
                namespaced=spec["scope"] == "Namespaced",
                short_names=tuple(names.get("shortNames", ())),
                categories=tuple(names.get("categories", ())),
                subresources=subresources,
                shape=self._custom_shape(version.get("schema", {}).get("openAPIV3Schema", {})),
                is_custom=True,
                since=since,
            )

    def _custom_shape(self, schema: Mapping[str, Any]) -> Shape:
        shape = of_schema(schema)
        known = self._shapes.named("io.k8s.api.core.v1.ConfigMap").fields
        own = {name: known[name] for name in ("apiVersion", "kind", "metadata")}
        return Shape(
            "struct",
            fields={**shape.fields, **own},
            element=FREE if shape.element is FREE else None,
        )

    def _built_in(self, said: Mapping[str, Any]) -> Resource:
        group, _, version = said["groupVersion"].rpartition("/")
        return Resource(
            group=group,
            version=version,
            kind=said["kind"],
            plural=said["name"],
            singular=said["singularName"],
            namespaced=said["namespaced"],
            short_names=tuple(said.get("shortNames", ())),
            categories=tuple(said.get("categories", ())),
            subresources=tuple(said["subresources"]),
            shape=self._shapes.named(said["type"]),
        )
