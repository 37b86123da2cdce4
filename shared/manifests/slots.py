"""A container's image, and where in its object the parts of it stand."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.images import ImageRef

Path = tuple[str | int, ...]
"""Keys and indexes from an object's top to a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container and its image as declared; the image may be no valid reference."""

    name: str
    image: str
    init: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """
    Where an image stands: in one scalar, or spread over up to three.

    What has no place of its own is written together with the repository.
    """

    container: Container
    repository: Path
    registry: Path | None = None
    registry_text: str = ""
    """What stands there; it may be more than a host: `ghcr.io/acme`."""
    tag: Path | None = None

    def values(self, image: ImageRef) -> Mapping[Path, str]:
        """
        Return what to write where so that the slot says *image*.

        Raises: ValueError if a part that has a place of its own is missing.
        """
        found, name = self._named(image)
        digest = f"@{image.digest}" if image.digest else ""
        if self.tag:
            if not image.tag:
                raise ValueError(f"{image} has no tag, and the manifest has a field for it")
            found[self.tag] = image.tag + digest
        elif image.tag:
            name = f"{name}:{image.tag}"
        found[self.repository] = name if self.tag else name + digest
        return found

    def _named(self, image: ImageRef) -> tuple[dict[Path, str], str]:
        """Return what to write into the registry's field, and the name that is left to write."""
        before = f"{self.registry_text}/"
        if self.registry is None or image.repository.startswith(before):
            return {}, image.repository.removeprefix(before if self.registry else "")
        if not image.domain:
            raise ValueError(f"{image} names no registry, and the manifest has a field for it")
        return {self.registry: image.domain}, image.path
