"""Shows registries who we are: Basic, or a bearer token fetched for each repository."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from services.registry_scanner.challenge import Challenge, challenges
from services.registry_scanner.ports import UnreadableError
from shared.config.model import Registry
from shared.images import ImageRef
from shared.runtime.errors import TemporaryError

DEFAULT_LIFE = 60.0
"""Seconds that a token lives where the registry does not say."""
USED = 0.8
"""Share of its life after which a token is fetched anew."""

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    headers: Headers
    until: float


class Access:
    """Remembers what each registry wanted to see."""

    def __init__(self, session: aiohttp.ClientSession, registries: Mapping[str, Registry]) -> None:
        self._session = session
        self._registries = registries
        self._challenges: dict[str, Challenge] = {}
        self._tokens: dict[str, _Token] = {}

    async def headers(self, ref: ImageRef) -> Headers:
        """Return what to show for *ref*; nothing until the registry asks."""
        challenge = self._challenges.get(ref.registry_host)
        if challenge is None:
            return {}
        if challenge.scheme == "basic":
            return self._basic(ref)
        token = self._tokens.get(ref.canonical_repository)
        if token is None or token.until < time.monotonic():
            token = await self._fetch(ref, challenge)
            self._tokens[ref.canonical_repository] = token
        return token.headers

    async def challenged(self, ref: ImageRef, answer: aiohttp.ClientResponse) -> None:
        """Take in what a 401 asks for."""
        found = challenges(answer.headers.get("WWW-Authenticate", ""))
        known = [one for one in found if one.scheme in {"bearer", "basic"}]
        if not known:
            raise UnreadableError(f"{ref.registry_host} asks for a way in that is not known")
        self._challenges[ref.registry_host] = min(known, key=lambda one: one.scheme != "bearer")
        self._tokens.pop(ref.canonical_repository, None)

    def _basic(self, ref: ImageRef) -> Headers:
        registry = self._registries.get(ref.domain) or self._registries.get(ref.registry_host)
        if registry is None or registry.username is None or registry.password is None:
            return {}
        encoded = aiohttp.encode_basic_auth(registry.username, registry.password.read())
        return {"Authorization": encoded}

    async def _fetch(self, ref: ImageRef, challenge: Challenge) -> _Token:
        asked = challenge.parameters
        params = {"scope": asked.get("scope") or f"repository:{ref.registry_path}:pull"}
        if "service" in asked:
            params["service"] = asked["service"]
        try:
            async with self._session.get(
                asked.get("realm", ""), params=params, headers=self._basic(ref)
            ) as answer:
                if answer.status >= 500 or answer.status == 429:
                    raise TemporaryError(
                        f"registry {ref.registry_host}", f"its token service says {answer.status}"
                    )
                if answer.status != 200:
                    raise UnreadableError(
                        f"{ref.repository}: the token service of {ref.registry_host} refuses us"
                        f" ({answer.status}); check username and password in registries"
                    )
                return _token(json.loads(await answer.content.read(100_000)))
        except (ValueError, aiohttp.InvalidURL) as error:
            raise UnreadableError(
                f"{ref.repository}: the token service of {ref.registry_host} can't be read"
            ) from error


def _token(found: Mapping[str, object]) -> _Token:
    text = str(found.get("token") or found.get("access_token") or "")
    life = found.get("expires_in")
    seconds = float(life) if isinstance(life, int | float) else DEFAULT_LIFE
    return _Token(
        headers={"Authorization": f"Bearer {text}"}, until=time.monotonic() + seconds * USED
    )
