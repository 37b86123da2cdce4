"""The objects of a text that edits are made to, and what is wanted of each."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from shared.manifests.documents import Document
from shared.manifests.ids import ClusterKinds, WorkloadId, object_id
from shared.manifests.load import items
from shared.manifests.slots import Path
from shared.manifests.splice import EditError


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An object in a text, and what is wanted of it."""

    workload: WorkloadId
    document: int
    line: int
    path: Path
    value: dict[str, Any]
    images: dict[Path, str] = field(default_factory=dict)
    annotations: dict[str, str | None] = field(default_factory=dict)

    @property
    def wanted(self) -> bool:
        """Whether anything is."""
        return bool(self.images or self.annotations)

    def error(self, reason: str) -> EditError:
        """Return why it can't be edited, with its place."""
        return EditError(f"line {self.line}: {self.workload}: {reason}")

    def there(self) -> dict[str, Any]:
        """Return the annotations as they are."""
        found = self.value["metadata"].get("annotations")
        return found if isinstance(found, dict) else {}

    def changes(self) -> dict[str, str | None]:
        """Return the wanted annotations that are not so already."""
        there = self.there()
        return {
            key: value
            for key, value in self.annotations.items()
            if (key in there if value is None else there.get(key) != value)
        }


def targets_of(
    read: Iterable[Document], default_namespace: str, cluster_kinds: ClusterKinds
) -> Iterator[Target]:
    """Yield all objects of a text that have a name."""
    for number, document in enumerate(read):
        for path, line, value in items(document):
            if not isinstance(value, dict):
                continue
            with suppress(ValueError):  # what has no name is nobody's target
                found = object_id(
                    value, default_namespace=default_namespace, cluster_kinds=cluster_kinds
                )
                yield Target(
                    workload=found.workload, document=number, line=line, path=path, value=value
                )


def want(value: dict[str, Any], target: Target) -> None:
    """Make *value*, the object as it is, what is wanted of it."""
    for path, text in target.images.items():
        value_at(value, path[:-1])[path[-1]] = text
    if not target.changes():
        return
    metadata = value["metadata"]
    gone = {key for key, one in target.annotations.items() if one is None}
    annotations = target.there() | target.annotations
    annotations = {key: one for key, one in annotations.items() if key not in gone}
    if annotations:
        metadata["annotations"] = annotations
    elif metadata.get("annotations"):
        del metadata["annotations"]


def value_at(value: Any, path: Path) -> Any:
    """Return what stands at *path*."""
    for key in path:
        value = value[key]
    return value
