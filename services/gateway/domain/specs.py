"""Reads what Flux v1's clients send: specs of updates, and notifications."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from services.gateway.domain.errors import ApiError, bad_request
from shared.contract import (
    Cause,
    Change,
    ContainersSpec,
    ImageSpec,
    PolicyChange,
    PolicySpec,
)
from shared.images import ImageRef, InvalidReferenceError
from shared.manifests import WorkloadId

ALL = "<all>"
ALL_LATEST = "<all latest>"

Spec = ImageSpec | ContainersSpec | PolicySpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An update that a client asked for; *spec* is None for a sync."""

    spec: Spec | None
    cause: Cause
    plan: bool
    """A dry run: nothing is written."""
    sent: Mapping[str, Any]


def read_request(body: Any) -> Request:
    """
    Read the body of `update-manifests`.

    Raises:
        ApiError: 400, with what is wrong.
    """
    sent = _mapping(body, "the body")
    kind = sent.get("type")
    if "spec" not in sent:
        raise bad_request("spec is missing")
    spec = sent["spec"] or {}
    cause = _cause(sent.get("cause"))
    try:
        return Request(
            spec=_SPECS[str(kind)](spec) if kind != "sync" else None,
            cause=cause,
            plan=isinstance(spec, Mapping) and spec.get("Kind") == "plan",
            sent=sent,
        )
    except KeyError as error:
        raise bad_request(f"unknown type {kind!r} of spec, or {error} is missing in it") from error
    except (ValidationError, InvalidReferenceError, ValueError, AttributeError) as error:
        raise bad_request(f"spec of type {kind!r}: {str(error).splitlines()[0]}") from error


def _cause(found: Any) -> Cause:
    cause = _mapping(found or {}, "cause")
    return Cause(user=str(cause.get("User") or ""), message=str(cause.get("Message") or ""))


def _image(spec: Mapping[str, Any]) -> ImageSpec:
    image = str(spec["ImageSpec"])
    if image != ALL_LATEST and ImageRef.parse(image).tag is None:
        raise ValueError(f"ImageSpec {image!r} has no tag")
    workloads = tuple(_workload(name) for name in spec["ServiceSpecs"] or ())
    return ImageSpec(
        workloads=workloads,
        image=image,
        excludes=tuple(_workload(name) for name in spec.get("Excludes") or ()),
        force=bool(spec.get("Force", False)),
    )


def _containers(spec: Mapping[str, Any]) -> ContainersSpec:
    changes = {
        _workload(name): tuple(_change(one) for one in some)
        for name, some in (spec["ContainerSpecs"] or {}).items()
    }
    return ContainersSpec(
        changes=changes,
        skip_mismatches=bool(spec.get("SkipMismatches", False)),
        force=bool(spec.get("Force", False)),
    )


def _change(one: Mapping[str, Any]) -> Change:
    if "Current" in one:
        ImageRef.parse(one["Current"])
    ImageRef.parse(one["Target"])
    return Change(container=one["Container"], current=one.get("Current", ""), target=one["Target"])


def _policy(spec: Mapping[str, Any]) -> PolicySpec:
    changes = {
        _workload(name): PolicyChange(
            add=_policies((change or {}).get("add")),
            remove=tuple(_policies((change or {}).get("remove"))),
        )
        for name, change in spec.items()
    }
    return PolicySpec(changes=changes)


def _policies(found: Any) -> Mapping[str, str]:
    """Take a map of values, or Flux v1's older list of names."""
    if isinstance(found, list):
        return dict.fromkeys((str(name) for name in found), "true")
    return {str(name): str(value) for name, value in (found or {}).items()}


def _workload(name: Any) -> str:
    if name == ALL:
        return ALL
    return str(WorkloadId.parse(str(name)))


_SPECS: Mapping[str, Callable[[Mapping[str, Any]], Spec]] = {
    "image": _image,
    "containers": _containers,
    "policy": _policy,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GitChange:
    """A webhook says that a branch moved."""

    url: str
    branch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageChange:
    """A webhook says that an image was pushed."""

    image: str
    """The canonical repository."""


def read_notify(body: Any) -> GitChange | ImageChange:
    """
    Read the body of `notify`.

    Raises:
        ApiError: 400, with what is wrong.
    """
    sent = _mapping(body, "the body")
    source = _mapping(sent.get("Source") or {}, "Source")
    if sent.get("Kind") == "git":
        return GitChange(url=str(source.get("URL") or ""), branch=str(source.get("Branch") or ""))
    if sent.get("Kind") != "image":
        raise bad_request(f"Kind is {sent.get('Kind')!r}; it must be git or image")
    name = _mapping(source.get("Name") or {}, "Source.Name")
    written = "/".join(filter(None, (str(name.get("Domain") or ""), str(name.get("Image") or ""))))
    try:
        return ImageChange(image=ImageRef.parse(written).canonical_repository)
    except InvalidReferenceError as error:
        raise bad_request(f"Source.Name: {error}") from error


def _mapping(found: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(found, Mapping):
        raise bad_request(f"{name} must be a JSON object")
    return found


__all__ = [
    "ApiError",
    "GitChange",
    "ImageChange",
    "Request",
    "Spec",
    "read_notify",
    "read_request",
]
