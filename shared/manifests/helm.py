"""
The images in the values of a HelmRelease, in the shapes that Flux v1 recognised.

At the top level of `spec.values` (container `chart-image`) or one level down (the container is
named by its key): `image: text` with or without `tag` and `registry` beside it, or
`image: {repository, [registry], [tag]}`. Annotations `repository.fluxcd.io/A`,
`registry.fluxcd.io/A` and `tag.fluxcd.io/A` name any other place by a dotted path.
"""

from collections.abc import Mapping
from typing import Any

from shared.images import ImageRef, InvalidReferenceError
from shared.manifests.policies import annotations
from shared.manifests.slots import Container, Path, Slot

TOP = "chart-image"
"""The container whose image stands at the top of the values."""

_VALUES: Path = ("spec", "values")
_PARTS = ("repository", "registry", "tag")


def release_slots(value: Mapping[str, Any]) -> tuple[Slot, ...]:
    """Return the images of a HelmRelease: `chart-image` first, then by name."""
    values = _at(value, _VALUES)
    if not isinstance(values, Mapping):
        return ()
    found: dict[str, Slot] = {}
    if slot := _slot(TOP, values, _VALUES):
        found[TOP] = slot
    for key, inner in values.items():
        if isinstance(inner, Mapping) and (slot := _slot(key, inner, (*_VALUES, key))):
            found[key] = slot
    found |= _mapped(value)
    return tuple(found[name] for name in sorted(found, key=lambda name: (name != TOP, name)))


def _slot(name: str, values: Mapping[str, Any], path: Path) -> Slot | None:
    """Read a mapping that may have an image."""
    image = values.get("image")
    if isinstance(image, str):
        return _assemble(name, values, path, "image")
    if isinstance(image, Mapping):
        return _assemble(name, image, (*path, "image"), "repository")
    return None


def _assemble(name: str, values: Mapping[str, Any], path: Path, key: str) -> Slot | None:
    repository = values.get(key)
    if not isinstance(repository, str) or not repository:
        return None
    registry = _text(values.get("registry"))
    tag = _text(values.get("tag"))
    return Slot(
        container=Container(name=name, image=_image(registry, repository, tag)),
        repository=(*path, key),
        registry=(*path, "registry") if registry else None,
        registry_text=registry or "",
        # An unquoted `1.10` is a number and has lost its zero: it says no tag, as in Flux v1, but
        # it is the place to write one. So is every other `tag` that the chart would read.
        tag=(*path, "tag") if "tag" in values else None,
    )


def _mapped(value: Mapping[str, Any]) -> dict[str, Slot]:
    """Read the places that annotations name."""
    places: dict[str, dict[str, Path]] = {}
    for key, text in annotations(value).items():
        prefix, slash, name = key.partition("/")
        part = prefix.removesuffix(".fluxcd.io")
        if slash and name and part in _PARTS and prefix == f"{part}.fluxcd.io":
            places.setdefault(name, {})[part] = (*_VALUES, *text.split("."))
    slots = {name: _mapped_slot(name, value, paths) for name, paths in places.items()}
    return {name: slot for name, slot in slots.items() if slot}


def _mapped_slot(name: str, value: Mapping[str, Any], paths: Mapping[str, Path]) -> Slot | None:
    """As in Flux v1, every place that is named must exist."""
    found = {part: _at(value, path) for part, path in paths.items()}
    texts = {part: _text(one) for part, one in found.items()}
    missing = [part for part in paths if not texts[part] and not _is_number(part, found[part])]
    if "repository" not in paths or missing:
        return None
    image = _image(texts.get("registry"), texts["repository"] or "", texts.get("tag"))
    return Slot(
        container=Container(name=name, image=image),
        repository=paths["repository"],
        registry=paths.get("registry"),
        registry_text=texts.get("registry") or "",
        tag=paths.get("tag"),
    )


def _image(registry: str | None, repository: str, tag: str | None) -> str:
    name = f"{registry}/{repository}" if registry else repository
    return f"{_untagged(name)}:{tag}" if tag else name


def _untagged(name: str) -> str:
    """Leave out a tag that stands with the name: the one in a field of its own counts."""
    try:
        return ImageRef.parse(name).repository
    except InvalidReferenceError:
        return name


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _is_number(part: str, value: Any) -> bool:
    return part == "tag" and isinstance(value, int | float)


def _at(value: Any, path: Path) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
