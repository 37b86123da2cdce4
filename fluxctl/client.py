"""
Asks the gateway. The standard library is enough, and starts ten times faster than a client.

Errors of the API carry `help` for people; everything else is told with the address and a remedy.
"""

import base64
import json
import os
import posixpath
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException, HTTPMessage
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlencode, urlsplit
from urllib.request import (
    HTTPRedirectHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    build_opener,
)

from fluxctl.errors import CommandError, RefusedError

DEFAULT_URL = "http://127.0.0.1:3030/api/flux"
SUCCESS = {200, 201, 202, 204}
LOOPBACK = {"localhost", "127.0.0.1", "::1"}

_UNAUTHORISED = """The request failed authentication

The gateway asks for a token, and got none or a wrong one. Give it by the
environment variable FLUX_SERVICE_TOKEN, or by the option --token.
"""


class Client:
    """One gateway."""

    def __init__(self, url: str | None, token: str | None) -> None:
        given = url or os.environ.get("FLUX_URL") or DEFAULT_URL
        try:
            parts = urlsplit(given)
        except ValueError as error:
            raise CommandError(f"--url {given!r}: {error}") from error
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise CommandError(f"--url {given!r} must begin with http:// or https:// and a host")
        path = posixpath.normpath("/" + unquote(parts.path).strip("/"))
        self._root = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._path = "" if path == "/" else quote(path)
        self._authorization = _authorization(token, parts.username, parts.password)
        self._opener = _opener(parts.hostname)
        self.dead_letters = ""
        """How many there were at the last answer; empty if none."""

    @property
    def url(self) -> str:
        """Where the API is; without credentials."""
        return f"{self._root}{self._path}"

    def get(self, path: str, **query: str) -> Any:
        """Return the decoded answer."""
        parameters = urlencode(sorted(query.items()))
        return self._ask("GET", f"{self.url}/{path}?{parameters}", None)

    def post(self, path: str, body: object) -> Any:
        """Return the decoded answer."""
        return self._ask("POST", f"{self.url}/{path}", json.dumps(body).encode())

    def get_new(self, path: str, **query: str) -> Any:
        """Return an answer of the API that Flux v1 did not have."""
        return self._ask("GET", self._new(path, query), None)

    def post_new(self, path: str, **query: str) -> Any:
        """Have something done by the API that Flux v1 did not have."""
        return self._ask("POST", self._new(path, query), b"")

    def _new(self, path: str, query: Mapping[str, str]) -> str:
        parameters = f"?{urlencode(sorted(query.items()))}" if query else ""
        return f"{self.url.removesuffix('/api/flux')}/api/v1/{path}{parameters}"

    def _ask(self, method: str, url: str, body: bytes | None) -> Any:
        headers = {"Accept": "application/json", "User-Agent": "fluxctl", **self._authorization}
        request = Request(url, data=body, method=method, headers=headers)  # noqa: S310 - checked
        try:
            with self._opener.open(request) as answer:
                text, status = answer.read(), answer.status
                self.dead_letters = answer.headers.get("Flux-Dead-Letters", "")
        except HTTPError as error:
            raise _refusal(error) from error
        except (URLError, OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or str(error) or type(error).__name__
            raise CommandError(
                f"no answer from the gateway at {self.url}: {reason}\n"
                "Is it running there? Name another by --url or FLUX_URL."
            ) from error
        if status not in SUCCESS:
            raise CommandError(f"executing HTTP request: {status} {text.decode(errors='replace')}")
        return _decoded(text, method)


@contextmanager
def understood() -> Iterator[None]:
    """
    Read an answer within the block.

    Raises:
        CommandError: it is not what the API promises.
    """
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        why = f"{type(error).__name__}: {error}"
        raise CommandError(f"decoding response from server: {why}") from error


def _authorization(token: str | None, user: str | None, password: str | None) -> Mapping[str, str]:
    token = token or os.environ.get("WEAVE_CLOUD_TOKEN") or os.environ.get("FLUX_SERVICE_TOKEN")
    if token:
        return {"Authorization": f"Scope-Probe token={token}"}
    if user is None:
        return {}
    text = f"{unquote(user)}:{unquote(password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


class _Redirects(HTTPRedirectHandler):
    """Follows redirects, and shows the token to no other host."""

    def redirect_request(  # noqa: PLR0917 - the library's signature
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """Return the request to follow with."""
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        if new is not None and new.host != req.host:
            new.remove_header("Authorization")
        return new


def _opener(host: str) -> OpenerDirector:
    # A proxy of the environment has no business between us and a port-forward.
    direct = [ProxyHandler({})] if host in LOOPBACK else []
    return build_opener(_Redirects, *direct)


def _decoded(text: bytes, method: str) -> Any:
    if not text and method == "POST":
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        why = "EOF" if not text else str(error)
        raise CommandError(f"decoding response from server: {why}") from error


def _refusal(error: HTTPError) -> CommandError:
    if error.code == 401:
        return RefusedError(_UNAUTHORISED)
    text = error.read().decode(errors="replace")
    plain = CommandError(f"executing HTTP request: {error.code} {error.reason} {text}")
    if not (error.headers.get("Content-Type") or "").startswith("application/json"):
        return plain
    try:
        said = json.loads(text)
        if not isinstance(said, dict):
            raise ValueError("it is no object")  # noqa: TRY004, TRY301 - told below
    except ValueError as mistake:
        return CommandError(f"executing HTTP request: decoding response body of error: {mistake}")
    return RefusedError(str(said.get("help") or "")) if said.get("error") else plain
