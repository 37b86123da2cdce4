"""What the server refuses: the few mistakes that an applier must be able to tell."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.emulator.answers import Cause, invalid
from sandbox.emulator.kinds import Resource

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def check(obj: Mapping[str, Any], live: Mapping[str, Any] | None, resource: Resource) -> None:
    """
    Refuse *obj*, which is to replace *live*, where a real server would.

    Raises:
        ApiError: the object is invalid.
    """
    if causes := list(_problems(obj, live, resource)):
        raise invalid(resource, obj["metadata"]["name"], causes)


def _problems(
    obj: Mapping[str, Any], live: Mapping[str, Any] | None, resource: Resource
) -> Iterator[Cause]:
    name = obj["metadata"]["name"]
    # Names in access control may hold more, such as colons.
    if not resource.group.startswith("rbac") and not _NAME.fullmatch(name):
        text = f'Invalid value: "{name}": a lowercase RFC 1123 subdomain is needed here'
        yield "FieldValueInvalid", text, "metadata.name"
    if resource.is_custom or resource.group not in ("apps", "batch"):
        return
    spec = obj.get("spec", {})
    if resource.group == "apps":
        yield from _selector_problems(spec)
        yield from _pod_problems(spec.get("template", {}).get("spec", {}), spec)
    if live is not None:
        yield from _immutable(spec, live.get("spec", {}), resource)


def _selector_problems(spec: Mapping[str, Any]) -> Iterator[Cause]:
    labels = spec.get("template", {}).get("metadata", {}).get("labels") or {}
    wanted = spec.get("selector", {}).get("matchLabels") or {}
    if "selector" not in spec:
        yield "FieldValueRequired", "Required value", "spec.selector"
    if "selector" not in spec or not wanted.items() <= labels.items():
        text = "Invalid value: `selector` does not match template `labels`"
        yield "FieldValueInvalid", text, "spec.template.metadata.labels"


def _pod_problems(pod: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[Cause]:
    at = "spec.template.spec.containers"
    if not pod.get("containers"):
        yield "FieldValueRequired", "Required value", at
    volumes = {volume["name"] for volume in pod.get("volumes", ())}
    volumes |= {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", ())}
    for number, container in enumerate(pod.get("containers", ())):
        if not container.get("image"):
            yield "FieldValueRequired", "Required value", f"{at}[{number}].image"
        for place, mount in enumerate(container.get("volumeMounts", ())):
            if mount.get("name") not in volumes:
                text = f'Not found: "{mount.get("name")}"'
                yield "FieldValueNotFound", text, f"{at}[{number}].volumeMounts[{place}].name"


def _immutable(
    spec: Mapping[str, Any], live: Mapping[str, Any], resource: Resource
) -> Iterator[Cause]:
    if resource.kind == "StatefulSet":
        if any(spec.get(name) != live.get(name) for name in ("selector", "serviceName")):
            text = "Forbidden: updates to statefulset spec for these fields are forbidden"
            yield "FieldValueForbidden", text, "spec"
        return
    name = "template" if resource.kind == "Job" else "selector"
    if resource.kind != "CronJob" and spec.get(name) != live.get(name):
        yield "FieldValueInvalid", "Invalid value: field is immutable", f"spec.{name}"
