"""
Reads registries by the OCI distribution protocol.

One request a scan in the common case: the list of tags. Where a policy orders by creation time, two
more for each new tag, once. A list is whole or an error, since a part of it would choose wrongly.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from hashlib import sha256
from types import TracebackType
from typing import Any, Self

import aiohttp
import structlog
from prometheus_client import Counter
from yarl import URL

from services.registry_scanner.access import Access
from services.registry_scanner.created_cache import CreatedCache
from services.registry_scanner.ports import UnreadableError
from services.registry_scanner.settings import Settings
from shared.images import Candidate, ImageRef
from shared.runtime.errors import TemporaryError

logger = structlog.get_logger(__name__)

ACCEPT = (
    "application/vnd.oci.image.index.v1+json,"
    "application/vnd.docker.distribution.manifest.list.v2+json,"
    "application/vnd.oci.image.manifest.v1+json,"
    "application/vnd.docker.distribution.manifest.v2+json"
)
"""All four, always: without them a registry answers 404, or with another digest."""

PAGE = 1_000
PAGES = 200
"""More pages than any registry has; an endless chain of links ends here."""
LARGEST_LIST = 20_000_000
LARGEST_DOCUMENT = 4_000_000
LONGEST_WAIT = 600.0
"""Seconds that a Retry-After is believed at most."""

_CREATED = "org.opencontainers.image.created"
_BUILT = "org.label-schema.build-date"
_UNKNOWN_YEARS = (1, 1970)
"""What reproducible builds write."""

REQUESTS = Counter("flux_registry_scanner_requests_total", "Requests to registries", ["host"])


class OciRegistries:
    """Implements `ports.Registries`; an asynchronous context manager."""

    def __init__(self, settings: Settings, cache: CreatedCache) -> None:
        self.requests = 0
        self._settings = settings
        self._cache = cache
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._session: aiohttp.ClientSession | None = None
        self._access: Access | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=self._settings.timeout)
        self._session = aiohttp.ClientSession(timeout=timeout)
        self._access = Access(self._session, self._settings.registries)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def tags(self, image: str) -> Sequence[str]:
        """Return all tags of *image*, page by page."""
        ref = ImageRef.parse(image)
        url: URL | None = self._url(ref, "tags/list") % {"n": PAGE}
        found: dict[str, None] = {}
        for _ in range(PAGES):
            if url is None:
                return list(found)
            async with self._get(ref, url, "application/json") as answer:
                document = await _json(answer, ref, LARGEST_LIST)
                found |= dict.fromkeys(_tags(document, ref))
                url = _next(answer, ref)
        raise UnreadableError(f"{image}: the list of tags has more than {PAGES} pages")

    async def candidates(
        self, image: str, tags: Sequence[str], created: Collection[str]
    ) -> Sequence[Candidate]:
        """Return *tags*, those in *created* with their creation time where that can be had."""
        known = dict(self._cache.known(image, created))
        new = [tag for tag in tags if tag in created and tag not in known]
        if new:
            async with asyncio.TaskGroup() as group:
                reading = [group.create_task(self._candidate(image, tag)) for tag in new]
            read = [task.result() for task in reading]
            for one in read:
                if isinstance(one, TemporaryError):
                    raise one
            fresh = [one for one in read if isinstance(one, Candidate)]
            self._cache.keep(image, fresh)
            known |= {one.tag: one for one in fresh}
        return [known.get(tag) or Candidate(tag=tag) for tag in tags]

    async def _candidate(self, image: str, tag: str) -> Candidate | TemporaryError:
        """Read manifest and configuration of a tag; one that can't be read has no creation time."""
        ref = ImageRef.parse(image)
        try:
            manifest, digest = await self._manifest(ref, tag)
            if "manifests" in manifest:
                manifest, _ = await self._manifest(ref, _platform(manifest, ref))
            blob = str(manifest["config"]["digest"])
            async with self._get(ref, self._url(ref, f"blobs/{blob}"), "*/*") as answer:
                config = await _json(answer, ref, LARGEST_DOCUMENT)
        except TemporaryError as error:
            return error
        except (UnreadableError, KeyError, TypeError, IndexError) as error:
            logger.warning("no creation time", image=image, tag=tag, reason=str(error))
            return Candidate(tag=tag)
        return Candidate(tag=tag, digest=digest, created=_created(config))

    async def _manifest(self, ref: ImageRef, reference: str) -> tuple[Any, str]:
        url = self._url(ref, f"manifests/{reference}")
        async with self._get(ref, url, ACCEPT) as answer:
            body = await _body(answer, ref, LARGEST_DOCUMENT)
            digest = answer.headers.get("Docker-Content-Digest")
            return _parsed(body, ref), digest or f"sha256:{sha256(body).hexdigest()}"

    @asynccontextmanager
    async def _get(
        self, ref: ImageRef, url: URL, accept: str
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask, as one who may; every other answer than 200 is an error."""
        assert self._session is not None, "use it as a context manager"
        assert self._access is not None, "use it as a context manager"
        host = ref.registry_host
        slot = self._slots.setdefault(host, asyncio.Semaphore(self._settings.concurrency))
        async with slot:
            try:
                for attempt in range(2):
                    headers = {"Accept": accept, **await self._access.headers(ref)}
                    self.requests += 1
                    REQUESTS.labels(host).inc()
                    async with self._session.get(url, headers=headers) as answer:
                        if answer.status == 401 and attempt == 0:
                            await self._access.challenged(ref, answer)
                            continue
                        _check(answer, ref)
                        yield answer
                        return
            except (aiohttp.ClientError, TimeoutError) as error:
                reason = str(error) or f"no answer within {self._settings.timeout:g} s"
                raise TemporaryError(f"registry {host}", reason) from error

    def _url(self, ref: ImageRef, rest: str) -> URL:
        host = ref.registry_host
        special = self._settings.registries.get(ref.domain) or self._settings.registries.get(host)
        scheme = "http" if special and special.insecure else "https"
        return URL(f"{scheme}://{host}/v2/{ref.registry_path}/{rest}")


def _check(answer: aiohttp.ClientResponse, ref: ImageRef) -> None:
    host, status = ref.registry_host, answer.status
    if status == 200:
        return
    if status == 429 or status >= 500:
        reason = "it limits our rate" if status == 429 else f"it answers {status}"
        raise TemporaryError(f"registry {host}", reason, retry_after=_retry_after(answer))
    if status in {401, 403}:
        raise UnreadableError(
            f"{ref.repository}: {host} refuses us ({status});"
            f" give registries a username and a password for {host}"
        )
    if status == 404:
        raise UnreadableError(f"{ref.repository}: {host} has no such image (404)")
    raise UnreadableError(f"{ref.repository}: {host} answers {status}")


def _retry_after(answer: aiohttp.ClientResponse) -> float | None:
    value = answer.headers.get("Retry-After", "")
    return min(float(value), LONGEST_WAIT) if value.isdigit() else None


async def _json(answer: aiohttp.ClientResponse, ref: ImageRef, largest: int) -> Any:
    return _parsed(await _body(answer, ref, largest), ref)


async def _body(answer: aiohttp.ClientResponse, ref: ImageRef, largest: int) -> bytes:
    body = await answer.content.read(largest + 1)
    while len(body) <= largest and not answer.content.at_eof():
        body += await answer.content.read(largest + 1 - len(body))
    if len(body) > largest:
        raise UnreadableError(f"{ref.repository}: an answer has more than {largest} bytes")
    return body


def _parsed(body: bytes, ref: ImageRef) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{ref.repository}: the answer is no JSON: {error}") from error


def _tags(document: Any, ref: ImageRef) -> list[str]:
    tags = document.get("tags") if isinstance(document, Mapping) else None
    if tags is None and isinstance(document, Mapping) and "tags" in document:
        return []
    if not isinstance(tags, list):
        raise UnreadableError(f"{ref.repository}: the answer holds no list of tags")
    return [tag for tag in tags if isinstance(tag, str)]


def _next(answer: aiohttp.ClientResponse, ref: ImageRef) -> URL | None:
    """Return where the next page is; it must be at the same registry."""
    link = answer.links.get("next")
    if link is None:
        return None
    url = URL(str(link["url"]))
    if url.origin() != answer.url.origin():
        raise UnreadableError(
            f"{ref.repository}: the next page lies on {url.host}, which is refused"
        )
    return url


def _platform(index: Mapping[str, Any], ref: ImageRef) -> str:
    """Return the digest of the image for linux/amd64, else of the first that is for a platform."""
    manifests = [one for one in index["manifests"] if isinstance(one, Mapping)]
    if not manifests:
        raise UnreadableError(f"{ref.repository}: an index without images")
    wanted = {"os": "linux", "architecture": "amd64"}
    best = (m for m in manifests if wanted.items() <= dict(m.get("platform") or {}).items())
    return str(next(best, manifests[0])["digest"])


def _created(config: Any) -> datetime | None:
    if not isinstance(config, Mapping):
        return None
    labels = (config.get("config") or {}).get("Labels") or {}
    for text in (labels.get(_CREATED), config.get("created"), labels.get(_BUILT)):
        try:
            moment = datetime.fromisoformat(str(text))
        except ValueError:
            continue
        if moment.tzinfo is not None and moment.year not in _UNKNOWN_YEARS:
            return moment
    return None
