"""
What registries say, read with suspicion: lists of tags, links, manifests, configurations.

Pure: an answer's parts in, values out; whatever has another shape than it should is an
`UnreadableError`. Read `oci_registry` for what is asked.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from yarl import URL

from services.registry_scanner.ports import UnreadableError
from shared.images.reference import is_tag

_CREATED = "org.opencontainers.image.created"
_BUILT = "org.label-schema.build-date"
_UNKNOWN_YEARS = (1, 1970, 1980)
"""What reproducible builds write: Go's zero time, Unix's, and that of buildpacks (as in zip)."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")

_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_NEXT = re.compile(r""";\s*rel\s*=\s*"?(?:[^";,]*\s)?next[\s";,]""", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Where a manifest leads: to a configuration, or as an index to the image of a platform."""

    digest: str
    config: str | None = None
    image: str | None = None


def parsed(body: bytes) -> Any:
    """Return what the JSON in *body* says."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"the answer is no JSON ({error})") from error


def tags(document: Any) -> list[str]:
    """Return the tags of a page; what can't be a tag is none, and could not be asked for."""
    if not isinstance(document, Mapping) or "tags" not in document:
        raise UnreadableError("the answer holds no list of tags")
    found = document["tags"]
    if found is None:  # a repository whose last tag was deleted
        return []
    if not isinstance(found, list):
        raise UnreadableError("the answer holds no list of tags")
    return [tag for tag in found if isinstance(tag, str) and is_tag(tag)]


def next_page(page: URL, links: Iterable[str]) -> URL | None:
    """Return where the page after *page* is; it must be at the same place."""
    for target, parameters in _LINK.findall(", ".join(links)):
        if not _NEXT.search(f"{parameters};"):
            continue
        try:
            url = page.join(URL(target))
            same = is_same_place(url, page)
        except ValueError as error:
            raise UnreadableError(f"the next page is at {target[:200]!r}: {error}") from error
        if not same:
            raise UnreadableError(f"the next page lies on {url.origin()}, which is refused")
        return url
    return None


def is_same_place(one: URL, other: URL) -> bool:
    """Tell whether both are of one origin, also if one spells out its port. Raises ValueError."""
    ours, theirs = one.origin(), other.origin()
    return (ours.scheme, ours.host, ours.port) == (theirs.scheme, theirs.host, theirs.port)


def manifest(body: bytes, told: str | None) -> Manifest:
    """
    Return where *body* leads; *told* is the digest that the registry told, if any.

    Of an index it is the image for linux/amd64, else the first that is for a known platform.
    """
    digest = _checked(body, told)
    document = parsed(body)
    if not isinstance(document, Mapping) or "schemaVersion" not in document:
        raise UnreadableError("the answer is no manifest")
    if "manifests" in document:
        return Manifest(digest=digest, image=_image(document["manifests"]))
    config = _mapping(document.get("config")).get("digest")
    return Manifest(digest=digest, config=None if config is None else _address(config))


def config_created(body: bytes, digest: str) -> datetime | None:
    """Return when the image of a configuration was created, where that is known."""
    _checked(body, digest)
    config = _mapping(parsed(body))
    labels = _mapping(_mapping(config.get("config")).get("Labels"))
    # Labels come last: an image has those of its base, which say how old that is.
    for text in (config.get("created"), labels.get(_CREATED), labels.get(_BUILT)):
        try:
            moment = datetime.fromisoformat(str(text))
        except ValueError:
            continue
        if moment.tzinfo is not None and moment.year not in _UNKNOWN_YEARS:
            return moment
    return None


def _checked(body: bytes, told: str | None) -> str:
    """Return the digest of *body*; it must be the one that was *told*."""
    if told is None:
        return f"sha256:{hashlib.sha256(body).hexdigest()}"
    algorithm = _address(told).partition(":")[0]
    digest = f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"
    if digest != told:
        raise UnreadableError(f"a document has the digest {digest}, not {told} as it should")
    return digest


def _image(found: Any) -> str:
    images = [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
    platforms = [(one, _mapping(one.get("platform"))) for one in images]
    wanted = {"os": "linux", "architecture": "amd64"}
    best = [one for one, platform in platforms if wanted.items() <= platform.items()]
    # Attestations are for the platform `unknown`.
    real = [one for one, platform in platforms if platform.get("os") != "unknown"]
    for one in (*best, *real):
        return _address(one.get("digest"))
    raise UnreadableError("an index holds no image")


def _address(found: Any) -> str:
    if not isinstance(found, str) or not _DIGEST.fullmatch(found):
        raise UnreadableError(f"{str(found)[:80]!r} is no digest")
    return found


def _mapping(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}
