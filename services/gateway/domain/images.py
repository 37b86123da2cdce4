"""Images as Flux v1's clients read them (`v10/images`)."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

from services.gateway.domain.errors import unprocessable
from shared.contract import Tag
from shared.images import ImageRef, InvalidReferenceError, TagPolicy, Version
from shared.images.policy import Kind
from shared.manifests.holds import Hold

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
    "Held",
)

_OLDEST = datetime.min.replace(tzinfo=UTC)
_NONE: Mapping[str, Any] = {"ID": "", "Labels": {}}


def container(
    name: str,
    image: str,
    policy: TagPolicy,
    tags: Sequence[Tag],
    error: str | None,
    *,
    hold: Hold | None = None,
) -> dict[str, Any]:
    """Return a container with all known tags of its image, in the order of its policy."""
    try:
        current = ImageRef.parse(image)
    except InvalidReferenceError as mistake:
        return {
            "Name": name,
            "Current": _NONE,
            "LatestFiltered": _NONE,
            "AvailableError": str(mistake),
        }
    newest_first = _ordered(tags, policy)
    filtered = [tag for tag in newest_first if policy.matches(tag.name)]
    places = {tag.name: place for place, tag in enumerate(newest_first)}
    place = places.get(current.tag or "")
    found = None if place is None else newest_first[place]
    if place is None:
        is_newer = _newer_than(Tag(name=current.tag or ""), policy)
        place = sum(1 for _ in takewhile(is_newer, newest_first))
    shape = {
        "Name": name,
        # Where the registry does not have its tag, it is still what runs.
        "Current": _info(current, found) if found else {"ID": image, "Labels": {}},
        "LatestFiltered": _info(current, filtered[0]) if filtered else _NONE,
        "Available": [_info(current, tag) for tag in newest_first],
        "AvailableError": error or "",
        "AvailableImagesCount": len(newest_first),
        "NewAvailableImagesCount": place,
        "FilteredImagesCount": len(filtered),
        "Held": {"Tag": hold.tag, "Reason": hold.reason} if hold else None,
        "NewFilteredImagesCount": sum(1 for tag in filtered if places[tag.name] < place),
    }
    always = ("Current", "LatestFiltered")
    return {field: value for field, value in shape.items() if value or field in always}


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


def _ordered(tags: Iterable[Tag], policy: TagPolicy) -> list[Tag]:
    """Return the newest first; of one age the lexically smallest, of one version the largest."""
    by_name = sorted(tags, key=lambda tag: tag.name)
    if policy.kind is not Kind.SEMVER:
        return sorted(by_name, key=_created, reverse=True)
    versions = {tag.name: Version.parse(tag.name) for tag in by_name}
    numbered = [(version.key, tag) for tag in by_name if (version := versions[tag.name])]
    numbered.sort(key=lambda one: (one[0], one[1].name), reverse=True)
    return [*(tag for _, tag in numbered), *(tag for tag in by_name if not versions[tag.name])]


def _newer_than(current: Tag, policy: TagPolicy) -> Callable[[Tag], bool]:
    """Return what tells whether a tag comes before *current* in the order of *policy*."""
    if policy.kind is Kind.SEMVER:
        return _later_than(current)
    since = _created(current)

    def is_newer(tag: Tag) -> bool:
        created = _created(tag)
        return tag.name < current.name if created == since else created > since

    return is_newer


def _later_than(current: Tag) -> Callable[[Tag], bool]:
    known = Version.parse(current.name)

    def is_newer(tag: Tag) -> bool:
        version = Version.parse(tag.name)
        if version is None or known is None:
            return version is not None or (known is None and tag.name < current.name)
        return (version.key, tag.name) > (known.key, current.name)

    return is_newer


def _created(tag: Tag) -> datetime:
    return tag.created or _OLDEST


def _info(current: ImageRef, tag: Tag) -> Mapping[str, Any]:
    info: dict[str, Any] = {"ID": f"{current.repository}:{tag.name}", "Labels": {}}
    if tag.digest:
        info["Digest"] = tag.digest
    if tag.created and tag.created.year > 1:
        info["CreatedAt"] = tag.created.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return info
