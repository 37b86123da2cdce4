"""
What `-o json` prints: the decoded answer written anew, as Flux v1's fluxctl does.

One compact line; fields in a fixed order, those that Flux v1 did not know left out; `<`, `>` and
`&` escaped.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from fluxctl.references import written

Found = Mapping[str, Any]

_ESCAPED = {ord(one): f"\\u{ord(one):04x}" for one in "<>&\u2028\u2029"}
_LABELS = ("org.label-schema.build-date", "org.opencontainers.image.created")
_COUNTS = (
    "AvailableImagesCount",
    "NewAvailableImagesCount",
    "FilteredImagesCount",
    "NewFilteredImagesCount",
)
_ROLLOUT = ("Desired", "Updated", "Ready", "Available", "Outdated")


def line(value: Any) -> str:
    """Return *value* as one line of JSON."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.translate(_ESCAPED)


def workloads(found: Iterable[Found] | None) -> list[Found] | None:
    """Return workloads as they are written; None for none at all."""
    return None if found is None else [_workload(one) for one in found]


def images(found: Iterable[Found] | None, limit: int) -> list[Found] | None:
    """Return images as they are written, of each container at most *limit*; 0 for all."""
    if found is None:
        return None
    return [{"ID": one["ID"], "Containers": _containers(one, limit)} for one in found]


def _workload(one: Found) -> Found:
    rollout = one.get("Rollout") or {}
    labels, policies = one.get("Labels"), one.get("Policies")
    return {
        "ID": one["ID"],
        "Containers": _containers(one, 0),
        "ReadOnly": one.get("ReadOnly") or "",
        "Status": one.get("Status") or "",
        "Rollout": {
            **{name: rollout.get(name) or 0 for name in _ROLLOUT},
            "Messages": rollout.get("Messages"),
        },
        "SyncError": one.get("SyncError") or "",
        "Antecedent": one.get("Antecedent") or "",
        "Labels": None if labels is None else dict(sorted(labels.items())),
        **{name: bool(one.get(name)) for name in ("Automated", "Locked", "Ignore")},
        "Policies": None if policies is None else dict(sorted(policies.items())),
    }


def _containers(one: Found, limit: int) -> list[Found] | None:
    some = one.get("Containers")
    return None if some is None else [_container(container, limit) for container in some]


def _container(one: Found, limit: int) -> Found:
    available = [_info(image) for image in one.get("Available") or ()]
    shape = {
        "Name": one.get("Name"),
        "Current": _info(one.get("Current") or {}),
        "LatestFiltered": _info(one.get("LatestFiltered") or {}),
        "Available": available[:limit] if limit else available,
        "AvailableError": one.get("AvailableError"),
        **{name: one.get(name) for name in _COUNTS},
    }
    return {key: value for key, value in shape.items() if value}


def _info(one: Found) -> Found:
    labels = one.get("Labels") or {}
    shape = {
        "ID": written(one.get("ID") or ""),
        "Digest": one.get("Digest"),
        "ImageID": one.get("ImageID"),
        "Labels": {name: _moment(labels[name]) for name in _LABELS if labels.get(name)},
        "CreatedAt": _moment(one.get("CreatedAt")),
        "LastFetched": _moment(one.get("LastFetched")),
    }
    return {key: value for key, value in shape.items() if value or key in {"ID", "Labels"}}


def _moment(text: str | None) -> str:
    """Return a time in UTC with as many digits as it needs."""
    if not text:
        return ""
    if not text.endswith("Z"):
        moment = datetime.fromisoformat(text).astimezone(UTC)
        text = moment.isoformat().replace("+00:00", "Z")
    whole, dot, fraction = text.removesuffix("Z").partition(".")
    fraction = fraction.rstrip("0")
    return (
        ""
        if whole.startswith("0001-01-01T00:00:00")
        else f"{whole}{dot * bool(fraction)}{fraction}Z"
    )
