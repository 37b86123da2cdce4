"""
Asks the gateway. The standard library is enough, and starts ten times faster than a client.

Errors of the API carry `help` for people; everything else is told with the address and a remedy.
"""

import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from fluxctl.errors import CommandError

DEFAULT_URL = "http://127.0.0.1:3030/api/flux"


class Client:
    """One gateway."""

    def __init__(self, url: str | None, token: str | None) -> None:
        self.url = (url or os.environ.get("FLUX_URL") or DEFAULT_URL).rstrip("/")
        self._token = (
            token or os.environ.get("WEAVE_CLOUD_TOKEN") or os.environ.get("FLUX_SERVICE_TOKEN")
        )
        if not self.url.startswith(("http://", "https://")):
            raise CommandError(f"--url {self.url!r} must begin with http:// or https://")

    def get(self, path: str, **query: str) -> Any:
        """Return the decoded answer."""
        return self._ask("GET", f"{self.url}/{path}?{urlencode(query)}", None)

    def post(self, path: str, body: object) -> Any:
        """Return the decoded answer."""
        return self._ask("POST", f"{self.url}/{path}", json.dumps(body).encode())

    def get_new(self, path: str) -> Any:
        """Return an answer of the API that Flux v1 did not have."""
        root = self.url.removesuffix("/api/flux")
        return self._ask("GET", f"{root}/api/v1/{path}", None)

    def _ask(self, method: str, url: str, body: bytes | None) -> Any:
        request = Request(url, data=body, method=method, headers=self._headers())  # noqa: S310 - checked
        try:
            with urlopen(request) as answer:  # noqa: S310 - the scheme was checked
                text = answer.read()
        except HTTPError as error:
            raise CommandError(_refusal(error)) from error
        except (URLError, OSError) as error:
            reason = getattr(error, "reason", error)
            raise CommandError(
                f"no answer from the gateway at {self.url}: {reason}\n"
                "Is it running there? Name another by --url or FLUX_URL."
            ) from error
        return json.loads(text) if text else None

    def _headers(self) -> Mapping[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "fluxctl"}
        if self._token:
            headers["Authorization"] = f"Scope-Probe token={self._token}"
        return headers


def _refusal(error: HTTPError) -> str:
    if error.code == 401:
        return (
            "the gateway refuses the request: it asks for a token\n"
            "Give it by --token or FLUX_SERVICE_TOKEN."
        )
    try:
        said = json.loads(error.read())
        return str(said.get("help") or said["error"]).rstrip()
    except (ValueError, KeyError, AttributeError):
        return f"{error.url} answered {error.code} {error.reason}"
