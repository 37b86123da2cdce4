"""
Whether what generators print after an update is what was wanted.

Of a patch file everything must be: it says itself what it changes. An updater may touch what it
likes, a label with the version for one; images and policies must be as they were wanted, in every
workload.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from services.repo_writer.domain.plan import Edit, Edits
from shared.manifests import Declared, Policies, containers, edit
from shared.manifests.documents import documents
from shared.manifests.patch_file import dump
from shared.manifests.patches import equal

Values = Mapping[str, Mapping[str, Any]]
"""Objects by their ids."""


def by_name(objects: Iterable[Declared]) -> Values:
    """Return the objects; of two of one id the first."""
    found: dict[str, Mapping[str, Any]] = {}
    for one in objects:
        found.setdefault(str(one.workload_id), one.object)
    return found


def wanted(before: Values, edits: Edits, default_namespace: str) -> Values:
    """
    Return the objects as they are to be.

    Raises: EditError.
    """
    after = dict(before)
    for spot, some in edits.items():
        if spot.workload in before:
            after[spot.workload] = _edited(before[spot.workload], some, default_namespace)
    return after


def _edited(value: Mapping[str, Any], edits: Iterable[Edit], namespace: str) -> Mapping[str, Any]:
    changed: Mapping[str, Any] = documents(edit(dump(value), edits, default_namespace=namespace))[
        0
    ].value
    return changed


def contradiction(after: Values, meant: Values, *, strictly: bool) -> str:
    """Return what is otherwise than it was meant to be, in a sentence; empty for nothing."""
    for name in sorted({*after, *meant}):
        if name not in after or name not in meant:
            return f"{name} {'is gone' if name in meant else 'is new'} after the update"
        one, other = after[name], meant[name]
        if not (equal(_plain(one), _plain(other)) if strictly else _same(one, other)):
            return _difference(name, one, other)
    return ""


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return _images(one) == _images(other) and Policies.of(one) == Policies.of(other)


def _difference(name: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    is_, meant = _images(one), _images(other)
    for container in sorted({*is_, *meant}):
        if is_.get(container) != meant.get(container):
            now = f"{is_.get(container)}, and not {meant.get(container)}"
            return f"{name}: after the update {container} would have {now}"
    if Policies.of(one) != Policies.of(other):
        return f"{name}: its policies would not be as they were ordered"
    return f"{name}: more would change than was asked for"


def _images(value: Mapping[str, Any]) -> dict[str, str]:
    return {one.name: one.image for one in reversed(containers(value))}


def _plain(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out an annotations field that is empty: a patch may leave it behind."""
    metadata = value.get("metadata")
    if not isinstance(metadata, Mapping) or metadata.get("annotations"):
        return value
    rest = {key: one for key, one in metadata.items() if key != "annotations"}
    return {**value, "metadata": rest}
