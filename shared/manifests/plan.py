"""
What edits mean for a text: which values of which object, and which characters.

An edit names a workload; the plan finds it among the documents (and items of lists), decides
the wanted values, and finds their places. Proving the outcome is up to `edit`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Self

from shared.images import ImageRef
from shared.manifests.annotate import annotation_splices
from shared.manifests.documents import Document, YamlError
from shared.manifests.ids import ClusterKinds, WorkloadId
from shared.manifests.lines import line_start
from shared.manifests.nodes import Place, compose, walk
from shared.manifests.policies import policy_name, spelling_like, spellings
from shared.manifests.slots import Path
from shared.manifests.splice import EditError, Splice, replace_scalar
from shared.manifests.targets import Target, targets_of, value_at, want
from shared.manifests.workloads import slots


@dataclass(frozen=True, slots=True, kw_only=True)
class SetImage:
    """Give a container another image."""

    workload: WorkloadId
    container: str
    image: ImageRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotate:
    """
    Set annotations, or remove them (None).

    Keys are whole (`fluxcd.io/automated`) or the names of policies (`automated`, `tag.web`).
    A policy that stands under another spelling keeps that spelling, and a new one is spelt as the
    object's others are, or the file's; removed are all of them.
    """

    workload: WorkloadId
    changes: Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that is wanted of a text, by object."""

    documents: list[Document]
    targets: list[Target]
    by_name: Mapping[tuple[str, str], list[Target]]
    """The same, by namespace and name: there may be thousands."""
    keys: frozenset[str]
    """Of all annotations."""

    @classmethod
    def of(cls, read: list[Document], default_namespace: str, cluster_kinds: ClusterKinds) -> Self:
        """Return a plan that wants nothing yet."""
        targets = list(targets_of(read, default_namespace, cluster_kinds))
        by_name: dict[tuple[str, str], list[Target]] = {}
        for one in targets:
            by_name.setdefault((one.workload.namespace, one.workload.name), []).append(one)
        keys = frozenset(key for one in targets for key in one.there())
        return cls(documents=read, targets=targets, by_name=by_name, keys=keys)

    def set_image(self, wanted: SetImage) -> None:
        """
        Want another image.

        Raises: EditError.
        """
        target = self._find(wanted.workload)
        named = [one for one in slots(target.value) if one.container.name == wanted.container]
        if not named:
            raise target.error(f"it has no container {wanted.container!r}")
        try:
            values = named[0].values(wanted.image)
        except ValueError as error:
            raise target.error(str(error)) from error
        target.images.update(values)

    def annotate(self, wanted: Annotate) -> None:
        """
        Want other annotations.

        Raises: EditError.
        """
        target = self._find(wanted.workload)
        here = [*target.there(), *target.annotations]
        for key, value in wanted.changes.items():
            target.annotations.update(_spelt(key, value, here, self.keys))

    def splices(self, text: str) -> list[Splice]:
        """
        Return what to splice so that *text* has all that is wanted.

        Raises: EditError.
        """
        wanted: dict[int, list[Target]] = {}
        for target in self.targets:
            if target.wanted:
                wanted.setdefault(target.document, []).append(target)
        begins = self._begins(text)
        return [
            splice
            for number, some in wanted.items()
            for splice in _of_document(text, begins[number], begins[number + 1], some)
        ]

    def expected(self) -> list[Any]:
        """Return the values of the documents as they are to be."""
        touched = {one.document for one in self.targets if one.wanted}
        values = [
            deepcopy(document.value) if number in touched else document.value
            for number, document in enumerate(self.documents)
        ]
        for target in self.targets:
            want(value_at(values[target.document], target.path), target)
        return values

    def error(self, document: int | None, reason: str) -> EditError:
        """Return why the edits of a document can't be made, with the first one's place."""
        wanted = [one for one in self.targets if one.wanted]
        there = [one for one in wanted if one.document == document]
        return (there or wanted)[0].error(reason)

    def _find(self, workload: WorkloadId) -> Target:
        named = self.by_name.get((workload.namespace, workload.name), [])
        found = [target for target in named if workload.means(target.workload)]
        if len(found) == 1:
            return found[0]
        raise EditError(
            f"{workload} stands {len(found)} times in the file (lines"
            f" {', '.join(str(one.line) for one in found)}); it must stand there once"
            if found
            else f"{workload} is not in the file"
        )

    def _begins(self, text: str) -> list[int]:
        """Return where each document starts, from the start of its first line, and the end."""
        begins = [line_start(text, one.start) for one in self.documents]
        begins[0] = int(text.startswith("\ufeff"))
        return [*begins, len(text)]


def _of_document(text: str, start: int, end: int, wanted: Sequence[Target]) -> Iterator[Splice]:
    piece = text[start:end]
    try:
        root = compose(piece)
    except YamlError as error:
        raise wanted[0].error(error.message) from error
    for target in wanted:
        for one in _splices(piece, root, target):
            yield Splice(start=one.start + start, end=one.end + start, text=one.text)


def _splices(text: str, root: Place, target: Target) -> list[Splice]:
    try:
        found = [
            replace_scalar(text, _find_place(root, target, path), value)
            for path, value in target.images.items()
            if value_at(target.value, path) != value
        ]
        if changes := target.changes():
            metadata = _find_place(root, target, ("metadata",))
            found += annotation_splices(text, metadata, changes)
    except EditError as error:
        raise target.error(str(error)) from error
    return found


def _find_place(root: Place, target: Target, path: Path) -> Place:
    place = walk(root, (*target.path, *path))
    if place is None:
        raise EditError(f"{'.'.join(map(str, path))} has no place of its own")
    return place


def _spelt(
    key: str, value: str | None, here: Collection[str], in_file: Collection[str]
) -> dict[str, str | None]:
    """Return the annotations to change for one change, in the spelling that is there."""
    policy = policy_name(key) if "/" in key else key
    keys = spellings(policy) if policy else (key,)
    present = [one for one in keys if one in here]
    if value is None:
        return dict.fromkeys(present)
    if present:
        return {present[0]: value}
    return {key if "/" in key else spelling_like(key, here, in_file): value}
