"""Who gets in: everybody, who knows a password, or who shows a token that still holds."""

import base64
import binascii
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web

_REPOSITORY = re.compile(r"/v2/(.+)/(?:tags|manifests|blobs)/")


class Door(Protocol):
    """Decides on each request to the registry."""

    def refusal(self, request: web.Request) -> web.Response | None:
        """Return None for who may go in, else the answer."""


@dataclass(slots=True, kw_only=True)
class Basic:
    """Asks for a name and a password with every request."""

    username: str
    password: str

    def refusal(self, request: web.Request) -> web.Response | None:
        """Let in who knows the password."""
        if login(request) == (self.username, self.password):
            return None
        return challenged('Basic realm="sandbox"')


@dataclass(slots=True)
class _Issued:
    scope: str
    until: float
    uses: float


@dataclass(slots=True, kw_only=True)
class Tokens:
    """Asks for a bearer token of its own token service, one for each repository."""

    login: tuple[str, str] | None = None
    """Who gets a token; None means everybody."""
    service: str = "sandbox"
    life: float = 300.0
    says_life: bool = True
    """Whether the answer holds `expires_in`."""
    uses: float = float("inf")
    """After so many requests a token counts as expired: an expiry that needs no waiting."""
    field_name: str = "token"
    """`token` or `access_token`"""
    realm: str = ""
    """Where the challenge sends a client; empty means the registry's own `/token`."""
    also_basic: bool = False
    """Whether the challenge offers Basic, too, as some hosts do in the same header."""
    issued: dict[str, _Issued] = field(default_factory=dict)

    def refusal(self, request: web.Request) -> web.Response | None:
        """Let in who shows a token that was issued for this repository."""
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        scope = _scope(request)
        token = self.issued.get(text) if scheme.lower() == "bearer" else None
        if token and token.scope == scope and token.until > time.monotonic() and token.uses > 0:
            token.uses -= 1
            return None
        realm = self.realm or f"{request.url.origin()}/token"
        bearer = f'Bearer realm="{realm}",service="{self.service}",scope="{scope}"'
        return challenged(f'Basic realm="a, b", {bearer}' if self.also_basic else bearer)

    async def issue(self, request: web.Request) -> web.Response:
        """Answer at the token service."""
        if self.login is not None and login(request) != self.login:
            return web.json_response({"details": "incorrect username or password"}, status=401)
        text = secrets.token_hex(16)
        scope = request.query.get("scope", "")
        until = time.monotonic() + self.life
        self.issued[text] = _Issued(scope=scope, until=until, uses=self.uses)
        answer: dict[str, object] = {self.field_name: text}
        if self.says_life:
            answer["expires_in"] = self.life
        return web.json_response(answer)


def login(request: web.Request) -> tuple[str, str] | None:
    """Return name and password of a request that shows them."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        username, _, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return username, password


def challenged(challenge: str) -> web.Response:
    """Return a 401 that says how to get in."""
    errors = [{"code": "UNAUTHORIZED", "message": "authentication required"}]
    headers = {"WWW-Authenticate": challenge}
    return web.json_response({"errors": errors}, status=401, headers=headers)


def _scope(request: web.Request) -> str:
    found = _REPOSITORY.match(request.path)
    return f"repository:{found[1]}:pull" if found else ""
