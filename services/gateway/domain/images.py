"""Images as Flux v1's clients read them (`v10/images`)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from services.gateway.domain.errors import unprocessable
from shared.contract import Tag
from shared.images import ImageRef, TagPolicy, Version
from shared.images.policy import Kind

FIELDS = (
    "Name",
    "Current",
    "LatestFiltered",
    "Available",
    "AvailableError",
    "AvailableImagesCount",
    "NewAvailableImagesCount",
    "FilteredImagesCount",
    "NewFilteredImagesCount",
)

_OLDEST = datetime.min.replace(tzinfo=UTC)


def container(
    name: str, image: str, policy: TagPolicy, tags: Sequence[Tag], error: str | None
) -> dict[str, Any]:
    """Return a container with all known tags of its image, in the order of its policy."""
    current = ImageRef.parse(image)
    newest_first = _ordered(tags, policy)
    filtered = [tag for tag in newest_first if policy.matches(tag.name)]
    found = next((tag for tag in newest_first if tag.name == current.tag), None)
    shape = {
        "Name": name,
        "Current": _info(current, found) if found else {"ID": image, "Labels": {}},
        "LatestFiltered": _info(current, filtered[0]) if filtered else {"ID": "", "Labels": {}},
        "Available": [_info(current, tag) for tag in newest_first],
        "AvailableError": error or "",
        "AvailableImagesCount": len(newest_first),
        "NewAvailableImagesCount": _newer(newest_first, current),
        "FilteredImagesCount": len(filtered),
        "NewFilteredImagesCount": _newer(filtered, current),
    }
    always = ("Current", "LatestFiltered")
    return {key: value for key, value in shape.items() if value or key in always}


def only(fields: Collection[str], shape: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields that were asked for; all where none were."""
    return {key: value for key, value in shape.items() if not fields or key in fields}


def check_fields(fields: Iterable[str]) -> None:
    """
    Refuse names of fields that there are none of.

    Raises:
        ApiError: 422.
    """
    for field in fields:
        if field not in FIELDS:
            raise unprocessable(f"{field!r} is no field of a container: {', '.join(FIELDS)}")


def _ordered(tags: Sequence[Tag], policy: TagPolicy) -> list[Tag]:
    by_name = sorted(tags, key=lambda tag: tag.name)
    by_age = sorted(by_name, key=lambda tag: tag.created or _OLDEST, reverse=True)
    if policy.kind is not Kind.SEMVER:
        return by_age
    versions = {tag.name: Version.parse(tag.name) for tag in tags}
    numbered = sorted(
        (tag for tag in tags if versions[tag.name]),
        key=lambda tag: (getattr(versions[tag.name], "key", ()), tag.name),
        reverse=True,
    )
    return [*numbered, *(tag for tag in by_age if not versions[tag.name])]


def _newer(newest_first: Sequence[Tag], current: ImageRef) -> int:
    """Count what comes before the current tag; nothing where that is not among them."""
    names = [tag.name for tag in newest_first]
    return names.index(current.tag) if current.tag in names else 0


def _info(current: ImageRef, tag: Tag) -> Mapping[str, Any]:
    info: dict[str, Any] = {"ID": str(current.with_tag(tag.name)), "Labels": {}}
    if tag.digest:
        info["Digest"] = tag.digest
    if tag.created:
        info["CreatedAt"] = tag.created.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return info
