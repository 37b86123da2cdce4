"""
Reads registries by the OCI distribution protocol.

One request a scan in the common case: the list of tags. It is whole or an error, since a part of it
would choose wrongly. Read `creation_times` for policies that order by them, `hosts` for how a
request is made, `documents` for how answers are understood.
"""

import asyncio
from collections.abc import Collection, Sequence
from types import TracebackType
from typing import Self

from yarl import URL

from services.registry_scanner import documents
from services.registry_scanner.bodies import read
from services.registry_scanner.created_cache import CreatedCache
from services.registry_scanner.creation_times import CreationTimes
from services.registry_scanner.hosts import Hosts
from services.registry_scanner.ports import UnreadableError
from services.registry_scanner.settings import Settings
from shared.images import Candidate, ImageRef, InvalidReferenceError
from shared.runtime.errors import TemporaryError

PAGE = 1_000
"""As many tags as every registry is willing to send at once; some send fewer."""
MOST_PAGES = 10_000
MOST_TAGS = 500_000
"""A list that goes on beyond these has no end."""
LONGEST = 300.0
"""Seconds for all pages of a list together."""
LARGEST_PAGE = 8_000_000


class OciRegistries:
    """Implements `ports.Registries`; an asynchronous context manager."""

    def __init__(self, settings: Settings, cache: CreatedCache) -> None:
        self._settings = settings
        self._cache = cache
        self._opened: tuple[Hosts, CreationTimes] | None = None

    async def __aenter__(self) -> Self:
        hosts = Hosts(self._settings)
        times = CreationTimes(hosts, self._cache, parallel=self._settings.concurrency)
        self._opened = hosts, times
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._hosts.close()

    def requests(self, image: str) -> int:
        """Return how many requests were made for *image* so far."""
        return self._hosts.requests[image]

    async def tags(self, image: str) -> Sequence[str]:
        """Return all tags of *image*, page by page."""
        try:
            ref = ImageRef.parse(image)
            return await self._whole(ref)
        except (UnreadableError, InvalidReferenceError) as error:
            raise UnreadableError(f"{image}: {error}") from error

    async def candidates(
        self, image: str, tags: Sequence[str], created: Collection[str]
    ) -> Sequence[Candidate]:
        """Return *tags*, those in *created* with their creation time where that can be had."""
        known = await self._times.of(ImageRef.parse(image), tags, created)
        return [known.get(tag) or Candidate(tag=tag) for tag in tags]

    async def _whole(self, ref: ImageRef) -> Sequence[str]:
        try:
            async with asyncio.timeout(LONGEST):
                return await self._pages(ref)
        except TimeoutError as error:
            reason = f"the list of tags of {ref.repository} is not whole after {LONGEST:g} s"
            raise TemporaryError(f"registry {ref.registry_host}", reason) from error

    async def _pages(self, ref: ImageRef) -> Sequence[str]:
        url: URL | None = self._hosts.url(ref, "tags/list") % {"n": PAGE}
        found: dict[str, None] = {}
        seen: set[URL] = set()
        while url is not None:
            if url in seen or len(seen) >= MOST_PAGES or len(found) > MOST_TAGS:
                raise UnreadableError("the list of tags has no end")
            seen.add(url)
            async with self._hosts.get(ref, url, "application/json") as answer:
                page = documents.parsed(await read(answer, LARGEST_PAGE))
                found |= dict.fromkeys(documents.tags(page))
                url = documents.next_page(answer.url, answer.headers.getall("Link", []))
        return list(found)

    @property
    def _hosts(self) -> Hosts:
        assert self._opened is not None, "use it as an asynchronous context manager"
        return self._opened[0]

    @property
    def _times(self) -> CreationTimes:
        assert self._opened is not None, "use it as an asynchronous context manager"
        return self._opened[1]
