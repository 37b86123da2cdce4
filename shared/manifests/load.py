"""
What a file declares, read as kubectl reads it.

A file that is no valid YAML is a problem and declares nothing; an object that is incomplete is
a problem by itself. Nothing is raised for what stands in a file, and nothing hangs on it.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, Self

from shared.manifests.documents import Document, YamlError, documents
from shared.manifests.encrypted import is_encrypted, is_named, readable
from shared.manifests.ids import (
    BUILT_IN_CLUSTER_KINDS,
    ClusterKinds,
    ObjectId,
    WorkloadId,
    object_id,
)
from shared.manifests.kustomize import GROUP as KUSTOMIZE

Path = tuple[str | int, ...]
"""Keys and indexes from a document's top to a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A part of a file that could not be read, in a person's words."""

    file: str
    line: int | None
    """From 1; None where the whole file is meant."""
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """An object and its place."""

    id: ObjectId
    object: dict[str, Any]
    """As written. Shared: copy before changing."""
    file: str
    line: int

    @property
    def workload_id(self) -> WorkloadId:
        """`namespace:kind/name`"""
        return self.id.workload

    def settled(self, *, default_namespace: str, cluster_kinds: ClusterKinds) -> Self:
        """Return it with the id anew, once it is known which kinds are cluster-scoped."""
        fresh = object_id(
            self.object, default_namespace=default_namespace, cluster_kinds=cluster_kinds
        )
        return self if fresh == self.id else replace(self, id=fresh)

    def placed(self) -> dict[str, Any]:
        """Return the object with exactly the namespace of its id, or without one."""
        metadata = self.object["metadata"]
        if (metadata.get("namespace") or "") == self.id.namespace and (
            "namespace" in metadata
        ) == bool(self.id.namespace):
            return self.object
        metadata = {key: value for key, value in metadata.items() if key != "namespace"}
        if self.id.namespace:
            metadata["namespace"] = self.id.namespace
        placed = copy(self.object)
        placed["metadata"] = metadata
        return placed


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The objects of a file in their order, and what could not be read."""

    objects: tuple[Declared, ...] = ()
    """Of an encrypted file those that can be named, and of them what can be read."""
    problems: tuple[Problem, ...] = ()
    encrypted: bool = False
    """SOPS has encrypted the file."""


def load(
    data: bytes | str,
    *,
    file: str,
    default_namespace: str = "default",
    cluster_kinds: ClusterKinds = BUILT_IN_CLUSTER_KINDS,
) -> Loaded:
    """Read all objects of a file; lists of any kind are taken apart."""
    try:
        read = documents(decode(data))
    except YamlError as error:
        return Loaded(problems=(Problem(file=file, line=error.line, message=error.message),))
    if is_encrypted(document.value for document in read):
        return _named(read, file, default_namespace, cluster_kinds)
    objects: list[Declared] = []
    problems: list[Problem] = []
    for document in read:
        for _, line, value in items(document):
            try:
                found = _identify(value, default_namespace, cluster_kinds)
            except ValueError as error:
                problems.append(Problem(file=file, line=line, message=str(error)))
                continue
            objects.append(Declared(id=found, object=value, file=file, line=line))
    return Loaded(objects=tuple(objects), problems=tuple(problems))


def _named(
    read: Iterable[Document], file: str, default_namespace: str, cluster_kinds: ClusterKinds
) -> Loaded:
    """Return what can be told of an encrypted file; what can't be read there is no problem."""
    objects: list[Declared] = []
    for _, line, value in (one for document in read for one in items(document)):
        with suppress(ValueError):
            if is_named(value):
                found = _identify(value, default_namespace, cluster_kinds)
                objects.append(Declared(id=found, object=readable(value), file=file, line=line))
    return Loaded(objects=tuple(objects), encrypted=True)


def decode(data: bytes | str) -> str:
    """
    Return the text of a file, byte order mark included.

    Raises: YamlError if it is not UTF-8.
    """
    if isinstance(data, str):
        return data
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise YamlError(line, "the file is not UTF-8 text") from error


def items(document: Document) -> Iterator[tuple[Path, int, Any]]:
    """
    Yield what a document declares: path, line and value of each object.

    Documents that are empty or have no `kind` declare nothing, and neither does a Kustomization
    without a name: it is for kustomize alone.
    """
    yield from _expand(document.value, (), document.line, document.lines)


def _expand(
    value: Any, path: Path, line: int, lines: Mapping[int, int]
) -> Iterator[tuple[Path, int, Any]]:
    if value is None or (isinstance(value, dict) and _declares_nothing(value)):
        return
    if not _is_list(value):
        yield path, line, value
        return
    for index, item in enumerate(value["items"] or ()):
        at = lines.get(id(item), line)
        yield from _expand(_completed(item, value), (*path, "items", index), at, lines)


def _declares_nothing(value: dict[str, Any]) -> bool:
    if value.get("kind") in (None, ""):
        return True
    version, metadata = value.get("apiVersion"), value.get("metadata")
    is_for_kustomize = isinstance(version, str) and version.startswith(f"{KUSTOMIZE}/")
    return is_for_kustomize and not (isinstance(metadata, dict) and metadata.get("name"))


def _is_list(value: Any) -> bool:
    """Tell a list from a custom resource whose kind happens to end in `List`."""
    if not isinstance(value, dict) or not isinstance(kind := value.get("kind"), str):
        return False
    return (
        kind.endswith("List")
        and "items" in value
        and (value["items"] is None or isinstance(value["items"], list))
    )


def _completed(item: Any, of: Mapping[str, Any]) -> Any:
    """Give an item of a typed list (`DeploymentList`) the kind that it leaves out."""
    kind = of["kind"].removesuffix("List")
    if not isinstance(item, dict) or not kind or item.get("kind"):
        return item
    return {"apiVersion": of.get("apiVersion")} | item | {"kind": kind}


def _identify(value: Any, default_namespace: str, cluster_kinds: ClusterKinds) -> ObjectId:
    if not isinstance(value, dict):
        what = "a list" if isinstance(value, list) else "a single value"
        raise ValueError(f"there is {what} where an object was expected")  # noqa: TRY004 -- a person's mistake in data
    return object_id(value, default_namespace=default_namespace, cluster_kinds=cluster_kinds)
