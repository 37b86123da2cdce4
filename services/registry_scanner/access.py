"""
Shows registries who we are: Basic, or a bearer token fetched for each repository.

What is shown is for the registry's own origin and for the token service that it names; the caller
must ask for nothing to show to any other.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from services.registry_scanner import documents
from services.registry_scanner.bodies import read
from services.registry_scanner.challenge import Challenge, challenges
from services.registry_scanner.ports import UnreadableError
from shared.config.images import Registry
from shared.images import ImageRef
from shared.runtime.errors import PermanentError, TemporaryError
from shared.runtime.retry_after import retry_after

DEFAULT_LIFE = 60.0
"""Seconds that a token lives where the registry does not say."""
USED = 0.8
"""Share of its life after which a token is fetched anew."""
LARGEST_TOKEN = 100_000

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    headers: Headers
    until: float


class Access:
    """Remembers what each registry wanted to see, and the tokens of each repository."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        registries: Mapping[str, Registry],
        count: Callable[[ImageRef], None],
    ) -> None:
        self._session = session
        self._registries = registries
        self._count = count
        self._challenges: dict[str, Challenge] = {}
        # A token is for one repository: two of one host must not get each other's.
        self._scopes: dict[str, str] = {}
        self._tokens: dict[str, _Token] = {}
        self._fetching: dict[str, asyncio.Lock] = {}

    async def headers(self, ref: ImageRef) -> Headers:
        """Return what to show for *ref*; nothing until the registry asks."""
        challenge = self._challenges.get(ref.registry_host)
        if challenge is None:
            return {}
        if challenge.scheme == "basic":
            return self._basic(ref)
        name = ref.canonical_repository
        async with self._fetching.setdefault(name, asyncio.Lock()):
            token = self._tokens.get(name)
            if token is None or token.until < time.monotonic():
                token = self._tokens[name] = await self._fetch(ref, challenge)
        return token.headers

    async def answered(self, ref: ImageRef, headers: list[str], shown: Headers) -> Headers:
        """Take in the challenges of a 401 to a request that has *shown* us; return what to show."""
        known = [one for one in challenges(", ".join(headers)) if one.scheme in {"bearer", "basic"}]
        if not known:
            raise UnreadableError(
                f"{ref.registry_host} refuses us (401) and names no way in that"
                " we know (Basic, Bearer)"
            )
        asked = min(known, key=lambda one: one.scheme != "bearer")
        self._challenges[ref.registry_host] = asked
        name = ref.canonical_repository
        if scope := asked.parameters.get("scope"):
            self._scopes[name] = scope
        token = self._tokens.get(name)
        if token and token.headers == shown:  # else another request has fetched one meanwhile
            del self._tokens[name]
        return await self.headers(ref)

    def _basic(self, ref: ImageRef) -> Headers:
        registry = self._registries.get(ref.canonical_domain)
        if registry is None or registry.username is None or registry.password is None:
            return {}
        try:
            encoded = aiohttp.encode_basic_auth(registry.username, registry.password.read())
        except (PermanentError, ValueError) as error:
            raise UnreadableError(f"registry {registry.host}: {error}") from error
        return {"Authorization": encoded}

    async def _fetch(self, ref: ImageRef, challenge: Challenge) -> _Token:
        realm = self._realm(ref, challenge)
        whole = f"repository:{ref.registry_path}:pull"
        params = {"scope": self._scopes.get(ref.canonical_repository, whole)}
        if service := challenge.parameters.get("service"):
            params["service"] = service
        shown = self._basic(ref)
        self._count(ref)
        try:
            async with self._session.get(
                realm, params=params, headers=shown, allow_redirects=False
            ) as answer:
                _check(answer, ref)
                return _token(documents.parsed(await read(answer, LARGEST_TOKEN)))
        except UnreadableError as error:
            raise UnreadableError(f"token service {realm.host}: {error}") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise TemporaryError(
                f"registry {ref.registry_host}", f"its token service {realm.host} gives no answer"
            ) from error

    def _realm(self, ref: ImageRef, challenge: Challenge) -> URL:
        try:
            realm = URL(challenge.parameters.get("realm", ""))
        except ValueError:
            realm = URL()
        registry = self._registries.get(ref.canonical_domain)
        schemes = {"https", "http"} if registry and registry.insecure else {"https"}
        if realm.scheme in schemes and realm.host and realm.user is None:
            return realm
        raise UnreadableError(
            f"{ref.registry_host} sends us to a token service without TLS, or to"
            " none: nothing is shown there; if it is meant to, set insecure in registries"
        )


def _check(answer: aiohttp.ClientResponse, ref: ImageRef) -> None:
    if answer.status == 200:
        return
    if answer.status >= 500 or answer.status == 429:
        raise TemporaryError(
            f"registry {ref.registry_host}",
            f"its token service {answer.url.host} answers {answer.status}",
            retry_after=retry_after(answer.headers.get("Retry-After", "")),
        )
    raise UnreadableError(
        f"it refuses us ({answer.status}); check username and password in registries"
    )


def _token(found: Any) -> _Token:
    values = found if isinstance(found, Mapping) else {}
    text = values.get("token") or values.get("access_token")
    if not isinstance(text, str) or not (text.isascii() and text.isprintable()):
        raise UnreadableError("its answer holds no token")
    life = values.get("expires_in")
    seconds = float(life) if isinstance(life, int | float) and 0 < life < 1e6 else DEFAULT_LIFE
    return _Token(
        headers={"Authorization": f"Bearer {text}"}, until=time.monotonic() + seconds * USED
    )
