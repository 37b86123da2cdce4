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
    tag: Path | None = None

    def values(self, image: ImageRef) -> Mapping[Path, str]:
        """
        Return what to write where so that the slot says *image*.

        Raises: ValueError if a part that has a place of its own is missing.
        """
        found: dict[Path, str] = {}
        name = image.repository
        if self.registry:
            if not image.domain:
                raise ValueError(f"{image} names no registry, and the manifest has a field for it")
            found[self.registry] = image.domain
            name = image.path
        digest = f"@{image.digest}" if image.digest else ""
        if self.tag:
            if not image.tag:
                raise ValueError(f"{image} has no tag, and the manifest has a field for it")
            found[self.tag] = image.tag + digest
        elif image.tag:
            name = f"{name}:{image.tag}"
        found[self.repository] = name if self.tag else name + digest
        return found
