"""
One request to a registry: politely, as one who may, and with every failure in our words.

Each host has its own slots and its own rest, so that one that hangs holds up no other. What shows
who we are goes to the registry's own origin only.
"""

import asyncio
import time
from collections import Counter as Count
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from prometheus_client import Counter
from yarl import URL

from services.registry_scanner.access import Access, Headers
from services.registry_scanner.documents import is_same_place
from services.registry_scanner.ports import MissingError, UnreadableError
from services.registry_scanner.settings import Settings
from shared.images import ImageRef
from shared.runtime.errors import TemporaryError
from shared.runtime.retry_after import retry_after

SHORT = 5.0
"""Seconds that are waited in place where a registry asks for it; a longer rest is an error."""
TRIES = 4
"""So often a request is sent at most: after a challenge, or after short rests."""

REQUESTS = Counter("flux_registry_scanner_requests_total", "Requests to registries", ["host"])


@dataclass(slots=True)
class _Host:
    slots: asyncio.Semaphore
    rests_until: float = 0.0

    async def rested(self, name: str) -> None:
        """Wait while it wants to be left alone, if that is short."""
        left = self.rests_until - time.monotonic()
        if left > SHORT:
            reason = f"it wants to be left alone for another {left:.0f} s"
            raise TemporaryError(f"registry {name}", reason, retry_after=left)
        if left > 0:
            await asyncio.sleep(left)


class Hosts:
    """All registries' hosts; close it at the end."""

    def __init__(self, settings: Settings) -> None:
        self.requests: Count[str] = Count()
        """By canonical repository."""
        self._settings = settings
        self._hosts: dict[str, _Host] = {}
        # No limit over all: hosts that hang would use it up for the others.
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=settings.timeout),
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._access = Access(self._session, settings.registries, self._count)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    def url(self, ref: ImageRef, rest: str = "") -> URL:
        """Return the address of something in the repository of *ref*."""
        registry = self._settings.registries.get(ref.canonical_domain)
        scheme = "http" if registry and registry.insecure else "https"
        try:
            return URL(f"{scheme}://{ref.registry_host}/v2/{ref.registry_path}/{rest}")
        except ValueError as error:
            raise UnreadableError(f"it can't be asked for: {error}") from error

    @asynccontextmanager
    async def get(
        self, ref: ImageRef, url: URL, accept: str
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """
        Yield the answer, which has status 200.

        Raises:
            TemporaryError: the registry gives no answer, or wants to be left alone.
            UnreadableError: it gives another answer.
        """
        name = ref.registry_host
        try:
            async with self._host(name).slots, self._answered(ref, url, accept) as answer:
                yield answer
        except (aiohttp.ClientError, TimeoutError) as error:
            raise TemporaryError(f"registry {name}", self._reason(error)) from error

    @asynccontextmanager
    async def _answered(
        self, ref: ImageRef, url: URL, accept: str
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        host, own = self._host(ref.registry_host), is_same_place(url, self.url(ref))
        shown = await self._shown(ref) if own else {}
        challenged = False
        for left in reversed(range(TRIES)):
            await host.rested(ref.registry_host)
            self._count(ref)
            async with self._session.get(url, headers={"Accept": accept, **shown}) as answer:
                _refuse_downgrade(answer, ref, url)
                # What another place asks for, where we were sent to, is none of our business.
                ours = own and is_same_place(answer.url, url)
                if answer.status == 401 and ours and not challenged and left:
                    challenged, before = True, shown
                    shown = await self._again(ref, answer, before)
                    if shown != before:
                        continue
                if self._wants_rest(host, answer) and left:
                    continue
                _check(answer, ref)
                yield answer
                return

    async def _shown(self, ref: ImageRef) -> Headers:
        async with asyncio.timeout(self._settings.timeout):
            return await self._access.headers(ref)

    async def _again(
        self, ref: ImageRef, answer: aiohttp.ClientResponse, shown: Headers
    ) -> Headers:
        async with asyncio.timeout(self._settings.timeout):
            asked = answer.headers.getall("WWW-Authenticate", [])
            return await self._access.answered(ref, asked, shown)

    def _wants_rest(self, host: _Host, answer: aiohttp.ClientResponse) -> bool:
        """Note how long a registry wants to be left alone; tell whether that is short."""
        if answer.status not in {429, 503}:
            return False
        seconds = retry_after(answer.headers.get("Retry-After", ""))
        if seconds is None:
            return False
        host.rests_until = max(host.rests_until, time.monotonic() + seconds)
        return seconds <= SHORT

    def _host(self, name: str) -> _Host:
        known = self._hosts.get(name)
        if known is None:
            known = self._hosts[name] = _Host(asyncio.Semaphore(self._settings.concurrency))
        return known

    def _count(self, ref: ImageRef) -> None:
        self.requests[ref.canonical_repository] += 1
        REQUESTS.labels(ref.registry_host).inc()

    def _reason(self, error: Exception) -> str:
        """Say what happened without addresses, which may carry signatures, and without headers."""
        if isinstance(error, TimeoutError):
            return f"no answer within {self._settings.timeout:g} s"
        if isinstance(error, aiohttp.ClientConnectorError):
            return str(error)
        if isinstance(error, aiohttp.TooManyRedirects):
            return "it redirects without end"
        broken = (
            aiohttp.ClientPayloadError,
            aiohttp.ServerDisconnectedError,
            aiohttp.ClientOSError,
        )
        if isinstance(error, broken):
            return "it closes the connection in the middle"
        return f"its answer is no HTTP that we understand ({type(error).__name__})"


def _refuse_downgrade(answer: aiohttp.ClientResponse, ref: ImageRef, url: URL) -> None:
    passed = (*answer.history[1:], answer)
    if url.scheme == "https" and any(one.url.scheme != "https" for one in passed):
        raise UnreadableError(f"{ref.registry_host} redirects us to a place without TLS")


def _check(answer: aiohttp.ClientResponse, ref: ImageRef) -> None:
    host, status = ref.registry_host, answer.status
    if status == 200:
        return
    if status == 429 or status >= 500:
        reason = "it limits our rate" if status == 429 else f"it answers {status}"
        wait = retry_after(answer.headers.get("Retry-After", ""))
        raise TemporaryError(f"registry {host}", reason, retry_after=wait)
    if status in {401, 403}:
        raise UnreadableError(
            f"{host} refuses us ({status}); give registries a username and a password for {host}"
        )
    if status == 404:
        raise MissingError(f"{host} has no such image (404)")
    raise UnreadableError(f"{host} answers {status}")
