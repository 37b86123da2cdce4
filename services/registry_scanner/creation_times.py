"""
When the tags of an image were created: manifest and configuration, once for each digest.

The first answer of a tag holds: pushed again under another digest it triggers nothing. A tag that
can't be read has no creation time, and is left in peace for a while.
"""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

import structlog

from services.registry_scanner import documents
from services.registry_scanner.bodies import read
from services.registry_scanner.created_cache import CreatedCache
from services.registry_scanner.documents import Manifest
from services.registry_scanner.hosts import Hosts
from services.registry_scanner.ports import MissingError, UnreadableError
from services.registry_scanner.side_by_side import read_each
from shared.images import Candidate, ImageRef

logger = structlog.get_logger(__name__)

ACCEPT = (
    "application/vnd.oci.image.index.v1+json,"
    "application/vnd.docker.distribution.manifest.list.v2+json,"
    "application/vnd.oci.image.manifest.v1+json,"
    "application/vnd.docker.distribution.manifest.v2+json"
)
"""All four, always: without them a registry answers 404, or with another digest."""

LARGEST = 4_000_000
"""Bytes of a manifest or a configuration, as the specification recommends."""
BATCH = 100
"""After so many tags what was read is kept: it is not read again, whatever happens next."""
AGAIN = 900.0
"""Seconds until a tag is tried again that could not be read."""


class CreationTimes:
    """Asks the registry for what the cache does not know."""

    def __init__(self, hosts: Hosts, cache: CreatedCache, *, parallel: int) -> None:
        self._hosts = hosts
        self._cache = cache
        self._parallel = parallel
        self._left_alone: dict[str, dict[str, float]] = {}
        """By image and tag: until when it is not tried again."""

    async def of(
        self, ref: ImageRef, tags: Sequence[str], wanted: Collection[str]
    ) -> Mapping[str, Candidate]:
        """Return what is known of *tags*, after asking for those of them that are *wanted*."""
        image = ref.canonical_repository
        known = dict(self._cache.known(image, frozenset(tags)))
        alone = self._alone(image)
        new = [tag for tag in tags if tag in wanted and tag not in known and tag not in alone]
        unreadable: dict[str, UnreadableError] = {}
        for batch in _batches(new):
            known |= await self._read(ref, batch, unreadable)
        self._note(image, unreadable)
        return known

    async def _read(
        self, ref: ImageRef, batch: Sequence[str], unreadable: dict[str, UnreadableError]
    ) -> Mapping[str, Candidate]:
        """Read a batch and keep it; also the part before the registry stops us."""
        image = ref.canonical_repository
        manifests = await read_each(batch, lambda tag: self._manifest(ref, tag), self._parallel)
        by_digest = {one.digest: one for one in manifests.found.values()}
        known = self._cache.of_digests(image, by_digest)
        times = await read_each(
            [digest for digest in by_digest if digest not in known],
            lambda digest: self._created(ref, by_digest[digest]),
            0 if manifests.stopped else self._parallel,
        )
        created = {**known, **times.found}
        digests = {tag: one.digest for tag, one in manifests.found.items()}
        fresh = {
            tag: Candidate(tag=tag, digest=digest, created=created[digest])
            for tag, digest in digests.items()
            if digest in created
        }
        self._cache.keep(image, fresh.values())
        unreadable |= manifests.unreadable
        failed = times.unreadable
        unreadable |= {tag: failed[one] for tag, one in digests.items() if one in failed}
        if stopped := manifests.stopped or times.stopped:
            raise stopped
        return fresh

    async def _manifest(self, ref: ImageRef, reference: str) -> Manifest:
        url = self._hosts.url(ref, f"manifests/{reference}")
        async with self._hosts.get(ref, url, ACCEPT) as answer:
            body = await read(answer, LARGEST)
            return documents.manifest(body, answer.headers.get("Docker-Content-Digest"))

    async def _created(self, ref: ImageRef, manifest: Manifest) -> datetime | None:
        if manifest.image is not None:
            manifest = await self._manifest(ref, manifest.image)
        if manifest.config is None:  # something else than an image
            return None
        url = self._hosts.url(ref, f"blobs/{manifest.config}")
        async with self._hosts.get(ref, url, "*/*") as answer:
            return documents.config_created(await read(answer, LARGEST), manifest.config)

    def _alone(self, image: str) -> Collection[str]:
        now = time.monotonic()
        left = {tag: end for tag, end in self._left_alone.get(image, {}).items() if end > now}
        self._left_alone[image] = left
        return left

    def _note(self, image: str, unreadable: Mapping[str, UnreadableError]) -> None:
        """Tell what could not be read, once for all tags, and leave it alone for a while."""
        if not unreadable:
            return
        tag, reason = next(iter(unreadable.items()))
        logger.warning(
            "no creation time", image=image, tags=len(unreadable), first=tag, reason=str(reason)
        )
        # What is listed but missing was pushed just now, and is there at the next look.
        lasting = [tag for tag, why in unreadable.items() if not isinstance(why, MissingError)]
        self._left_alone[image] |= dict.fromkeys(lasting, time.monotonic() + AGAIN)


def _batches(tags: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(tags), BATCH):
        yield tags[start : start + BATCH]
