"""
Editing manifests as text: an edit changes what it names, and no other byte.

An edit is planned on the values, found in the text by the places of its nodes, spliced
in, and then proven: the new text is read again, and exactly the wanted values must differ.
Where that can't be had (an anchor that is used elsewhere, two values in one place), nothing is
returned and `EditError` says why.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from shared.images import ImageRef, InvalidReferenceError
from shared.manifests.documents import Document, YamlError, documents
from shared.manifests.encrypted import REFUSED, is_encrypted
from shared.manifests.ids import BUILT_IN_CLUSTER_KINDS, ClusterKinds, WorkloadId
from shared.manifests.plan import Annotate, Plan, SetImage
from shared.manifests.splice import EditError, apply

__all__ = ["Annotate", "Edit", "EditError", "SetImage", "annotate", "edit", "set_image"]


Edit = SetImage | Annotate


def edit(
    text: str,
    edits: Iterable[Edit],
    *,
    default_namespace: str = "default",
    cluster_kinds: ClusterKinds = BUILT_IN_CLUSTER_KINDS,
) -> str:
    """
    Make all *edits* to *text*; the later one wins where two say different things.

    Raises: EditError, and then nothing was changed.
    """
    before = _read(text)
    if is_encrypted(document.value for document in before):
        raise EditError(REFUSED)
    plan = Plan.of(before, default_namespace, cluster_kinds)
    for one in edits:
        if isinstance(one, SetImage):
            plan.set_image(one)
        else:
            plan.annotate(one)
    splices = plan.splices(text)
    try:
        after = apply(text, splices)
    except EditError as error:
        raise plan.error(None, str(error)) from error
    if after != text:
        _prove(after, before, plan)
    return after


def set_image(
    text: str,
    workload: WorkloadId | str,
    container: str,
    image: ImageRef | str,
    *,
    default_namespace: str = "default",
) -> str:
    """
    Give a container another image.

    Raises: EditError.
    """
    try:
        wanted = ImageRef.parse(image) if isinstance(image, str) else image
    except InvalidReferenceError as error:
        raise EditError(str(error)) from error
    one = SetImage(workload=_workload(workload), container=container, image=wanted)
    return edit(text, [one], default_namespace=default_namespace)


def annotate(
    text: str,
    workload: WorkloadId | str,
    changes: Mapping[str, str | None],
    *,
    default_namespace: str = "default",
) -> str:
    """
    Set annotations of an object, or remove them (None); keys as in `Annotate`.

    Raises: EditError.
    """
    one = Annotate(workload=_workload(workload), changes=changes)
    return edit(text, [one], default_namespace=default_namespace)


def _prove(after: str, before: list[Document], plan: Plan) -> None:
    """Read the new text and compare: exactly the wanted values must differ."""
    try:
        values = [document.value for document in documents(after)]
    except YamlError as error:
        raise plan.error(None, f"the edit would break the file ({error.message})") from error
    differing = [
        number
        for number, pair in enumerate(zip(values, plan.expected(), strict=False))
        if _differ(*pair)
    ]
    if differing or len(values) != len(before):
        raise plan.error(
            differing[0] if differing else None,
            "the edit would change more than was asked for, or less: the value is shared by an"
            " anchor, or is written in an unusual way; change it by hand",
        )


def _differ(one: Any, other: Any) -> bool:
    # As JSON, since to Python 1, 1.0 and True are equal.
    return json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True)


def _read(text: str) -> list[Document]:
    try:
        return documents(text)
    except YamlError as error:
        place = "" if error.line is None else f"line {error.line}: "
        raise EditError(f"{place}{error.message}") from error


def _workload(workload: WorkloadId | str) -> WorkloadId:
    if isinstance(workload, WorkloadId):
        return workload
    try:
        return WorkloadId.parse(workload)
    except ValueError as error:
        raise EditError(str(error)) from error
