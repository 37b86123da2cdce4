"""Reads what Flux v1's clients send as updates: releases, policies, syncs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.gateway.domain.errors import bad_request
from services.gateway.domain.fields import Fields
from shared.contract import (
    AnySpec,
    Cause,
    Change,
    ContainersSpec,
    ImageSpec,
    PolicyChange,
    PolicySpec,
    RollbackSpec,
)
from shared.images import ImageRef, InvalidReferenceError
from shared.manifests import WorkloadId

ALL = "<all>"
ALL_LATEST = "<all latest>"
KINDS = ("plan", "execute")

Spec = AnySpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An update that a client asked for; *spec* is None for a sync."""

    spec: Spec | None
    cause: Cause
    plan: bool
    """A dry run: nothing is written."""
    allow_prune: bool = False
    """Of a sync: it may take away more than its limit."""
    sent: Mapping[str, Any]


def read_request(body: Any) -> Request:
    """
    Read the body of `update-manifests`.

    Raises:
        ApiError: 400, with what is wrong.
    """
    sent = Fields(body, "the body")
    kind = sent.text("type")
    if "spec" not in sent:
        raise bad_request("spec is missing")
    if kind != "sync" and kind not in _SPECS:
        known = ", ".join([*_SPECS, "sync"])
        raise bad_request(f"{kind!r} is no type of spec; there are {known}")
    said = sent.object("cause")
    cause = Cause(user=said.text("User"), message=said.text("Message"))
    spec = sent.object("spec")
    try:
        read = _SPECS[kind](spec) if kind != "sync" else None
        plan = kind in {"image", "containers"} and _is_plan(spec)
        allow_prune = kind == "sync" and spec.flag("allow_prune")
    except InvalidReferenceError as error:
        raise bad_request(f"spec of type {kind!r}: {error}") from error
    return Request(spec=read, cause=cause, plan=plan, sent=body, allow_prune=allow_prune)


def legacy_release(
    services: Sequence[str], image: str, kind: str, excludes: Sequence[str], cause: Cause
) -> Request:
    """Return the request that Flux v1's older `update-images` makes by its parameters."""
    spec = {"ServiceSpecs": [*services], "ImageSpec": image, "Kind": kind, "Excludes": [*excludes]}
    return read_request({"type": "image", "cause": _sent(cause), "spec": {**spec, "Force": False}})


def legacy_policies(changes: Any, cause: Cause) -> Request:
    """Return the request that Flux v1's older `PATCH policies` makes."""
    return read_request({"type": "policy", "cause": _sent(cause), "spec": changes})


def _sent(cause: Cause) -> Mapping[str, str]:
    return {"Message": cause.message, "User": cause.user}


def _is_plan(spec: Fields) -> bool:
    kind = spec.text("Kind")
    if kind not in KINDS:
        raise bad_request(f"spec.Kind is {kind!r}; it must be plan or execute")
    return kind == "plan"


def _image(spec: Fields) -> ImageSpec:
    image = spec.text("ImageSpec")
    if image != ALL_LATEST and ImageRef.parse(image).tag is None:
        raise bad_request(f"spec.ImageSpec: {image!r} has no tag; write {image}:latest if you mean")
    return ImageSpec(
        workloads=tuple(
            name if name == ALL else _workload(name) for name in spec.items("ServiceSpecs")
        ),
        image=image,
        excludes=tuple(_workload(name) for name in spec.items("Excludes")),
        force=spec.flag("Force"),
    )


def _containers(spec: Fields) -> ContainersSpec:
    wanted = spec.object("ContainerSpecs")
    changes = {_workload(name): tuple(_changes(name, wanted.items(name))) for name in wanted}
    return ContainersSpec(
        changes=changes,
        skip_mismatches=spec.flag("SkipMismatches"),
        force=spec.flag("Force"),
    )


def _changes(name: str, found: Sequence[Any]) -> list[Change]:
    some = [Fields(one, name) for one in found]
    for one in some:
        # Left out it skips the precondition; empty it is a mistake.
        if "Current" in one:
            ImageRef.parse(one.text("Current"))
        ImageRef.parse(one.text("Target"))
    return [
        Change(
            container=one.text("Container"), current=one.text("Current"), target=one.text("Target")
        )
        for one in some
    ]


def _auto(spec: Fields) -> ContainersSpec:
    """Read what Flux v1's daemon made by itself: what is not as it was is left out."""
    changes: dict[str, list[Change]] = {}
    for found in spec.items("Changes"):
        one = Fields(found, "spec.Changes")
        container, target = one.object("Container"), one.text("ImageID")
        ImageRef.parse(target)
        change = Change(
            container=container.text("Name"), current=container.text("Image"), target=target
        )
        changes.setdefault(_workload(one.text("WorkloadID")), []).append(change)
    return ContainersSpec(
        changes={name: tuple(some) for name, some in changes.items()}, skip_mismatches=True
    )


def _policy(spec: Fields) -> PolicySpec:
    changes = {}
    for name in spec:
        change = spec.object(name)
        changes[_workload(name)] = PolicyChange(
            add=_policies(change, "add"), remove=tuple(_policies(change, "remove"))
        )
    return PolicySpec(changes=changes)


def _rollback(spec: Fields) -> RollbackSpec:
    """Read our own addition to Flux v1's types."""
    return RollbackSpec(workloads=tuple(map(_workload, spec.items("Workloads"))))


def _policies(change: Fields, which: str) -> Mapping[str, str]:
    """Take a map of values, or Flux v1's older list of names."""
    found = change.value(which)
    if isinstance(found, list):
        found = dict.fromkeys(map(str, found), "true")
    values = Fields({} if found is None else found, which)
    return {name: values.text(name) for name in values}


def _workload(name: Any) -> str:
    try:
        return str(WorkloadId.parse(str(name)))
    except ValueError as error:
        raise bad_request(str(error)) from error


_SPECS: Mapping[str, Callable[[Fields], Spec]] = {
    "image": _image,
    "containers": _containers,
    "policy": _policy,
    "auto": _auto,
    "rollback": _rollback,
}
