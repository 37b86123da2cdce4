"""
The `images` of a Kustomization: what they make of an image is what is declared.

Two kinds have them: kustomize's own file, which needs a `metadata.name` to be somebody's workload,
and the Flux Toolkit's resource. A container is called as the entry is: by the name that it
replaces. Keys are never added: without `newTag` there is nothing to write to.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.images import ImageRef
from shared.manifests.slots import Container, Path

GROUP = "kustomize.config.k8s.io"
"""Of kustomize's own files. No cluster serves them."""

_TOOLKIT = "kustomize.toolkit.fluxcd.io"
_PLACES: Mapping[str, Path] = {GROUP: ("images",), _TOOLKIT: ("spec", "images")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One of the `images`, and where it stands."""

    container: Container
    path: Path
    name: str
    """What it says without tag and digest."""
    fields: frozenset[str]
    """What is there to be written to."""

    def values(self, image: ImageRef) -> Mapping[Path, str]:
        """
        Return what to write where so that the entry says *image*.

        Raises: ValueError if a field for a part of it is missing, or for what it has not.
        """
        wanted = {"newTag": image.tag, "digest": image.digest}
        if "newName" in self.fields or image.repository != self.name:
            wanted["newName"] = image.repository
        for field, text in wanted.items():
            if text is not None and field not in self.fields:
                raise ValueError(f"{self._called} has no `{field}` to write {text} to; add one")
            if text is None and field in self.fields:
                raise ValueError(f"{self._called} has a `{field}`, and {image} has none; remove it")
        return {(*self.path, field): text for field, text in wanted.items() if text is not None}

    @property
    def _called(self) -> str:
        return f"the images entry {self.container.name!r}"


def kustomization_slots(value: Mapping[str, Any]) -> tuple[Entry, ...]:
    """Return the images of a Kustomization; none if it is none."""
    version = value.get("apiVersion")
    path = _PLACES.get(version.partition("/")[0]) if isinstance(version, str) else None
    return tuple(_entries(value, path)) if path else ()


def _entries(value: Any, path: Path) -> Iterator[Entry]:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    for index, one in enumerate(value if isinstance(value, list) else ()):
        if isinstance(one, Mapping) and isinstance(one.get("name"), str) and one["name"]:
            yield _entry(one, (*path, index))


def _entry(one: Mapping[str, Any], path: Path) -> Entry:
    name = _text(one, "newName") or one["name"]
    # A tag that is a number has lost its zeros: it says none, but is the place to write one.
    tag, digest = _text(one, "newTag"), _text(one, "digest")
    image = f"{name}{f':{tag}' if tag else ''}{f'@{digest}' if digest else ''}"
    return Entry(
        container=Container(name=one["name"], image=image),
        path=path,
        name=name,
        fields=frozenset(one.keys() & {"newName", "newTag", "digest"}),
    )


def _text(entry: Mapping[str, Any], key: str) -> str | None:
    found = entry.get(key)
    return found if isinstance(found, str) else None
