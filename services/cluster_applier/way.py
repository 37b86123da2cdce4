"""
One way to an API server: where it is, the connections, and what each request must show.

The session is ours: that of kubernetes-asyncio looks for a .netrc before each request, in a thread.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubernetes_asyncio.client import ApiClient

from services.cluster_applier.answers import Answer, body_of, late
from shared.runtime.retry_after import retry_after

LONGEST_LINE = 2**21
"""Bytes; an event of a watch is one line, and etcd keeps objects of 1.5 MiB."""
LARGE = 2**20
"""Bytes from which a body is sent in parts, so that others get their turns in between."""

Params = Mapping[str, str]
NONE: Params = {}


class Way:
    """How a server is reached, as it was read once."""

    def __init__(self, api: ApiClient) -> None:
        self.users = 0
        """Requests that are under way."""
        self._api = api
        self._files = _files(api)
        self._host = str(api.configuration.host)
        self._options = _options(api, self._host)
        self._session = aiohttp.ClientSession(
            connector=api.rest_client.pool_manager.connector,
            connector_owner=False,
            read_bufsize=LONGEST_LINE,
        )

    async def ask(
        self,
        method: str,
        path: str,
        *,
        account: str = "",
        headers: Params = NONE,
        params: Params | None = None,
        body: bytes | None = None,
        seconds: float,
    ) -> Answer:
        """
        Return the answer to one request; with *account*, `namespace/name`, we ask as that one.

        Raises:
            aiohttp.ClientError: the server can't be reached.
        """
        try:
            async with self._session.request(
                method,
                self._host + path,
                params=params,
                data=BytesIO(body) if body and len(body) >= LARGE else body,
                headers={**headers, **await self._identity(account)},
                timeout=aiohttp.ClientTimeout(total=seconds),
                allow_redirects=False,
                **self._options,
            ) as response:
                body = await body_of(response)
        except TimeoutError:
            return late(seconds)
        wait = retry_after(response.headers.get("Retry-After", ""))
        return Answer(status=response.status, body=body, retry_after=wait)

    @asynccontextmanager
    async def watch(
        self, path: str, *, account: str, accept: str, params: Params
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Begin a watch."""
        seconds = float(params.get("timeoutSeconds", "300"))
        async with self._session.get(
            self._host + path,
            params={**params, "watch": "1"},
            headers={"Accept": accept, **await self._identity(account)},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=seconds + 30),
            allow_redirects=False,
            **self._options,
        ) as answer:
            yield answer

    @property
    def outdated(self) -> bool:
        """Whether a certificate that it leads by is another one now."""
        return self._files != _files(self._api)

    async def close(self) -> None:
        """End all connections."""
        await self._session.close()
        await self._api.close()

    async def _identity(self, account: str) -> Params:
        if not account:
            return await self._shown()
        namespace, _, name = account.partition("/")
        impersonated = {"Impersonate-User": f"system:serviceaccount:{namespace}:{name}"}
        return {**await self._shown(), **impersonated}

    async def _shown(self) -> Params:
        """Return the headers that say who we are; nothing where a certificate does."""
        settings = await self._api.configuration.auth_settings()
        found = settings.get("BearerToken")
        if not found:
            return NONE
        token = str(found["value"]).strip()
        if not (token.isascii() and token.isprintable()):
            raise aiohttp.ClientConnectionError("our token holds what no token may; renew it")
        return {"Authorization": token}


def _files(api: ApiClient) -> Mapping[str, bytes]:
    """Return the certificates, and the key, as they are now."""
    given, found = api.configuration, {}
    for name in (given.ssl_ca_cert, given.cert_file, given.key_file):
        if name:
            with suppress(OSError):
                found[name] = Path(name).read_bytes()
    return found


def _options(api: ApiClient, host: str) -> Mapping[str, Any]:
    given = api.configuration
    proxy = given.proxy or _environments_proxy(host)
    wanted = {
        "proxy": proxy,
        "proxy_headers": given.proxy_headers if proxy else None,
        "server_hostname": given.tls_server_name,
    }
    return {key: value for key, value in wanted.items() if value}


def _environments_proxy(host: str) -> str | None:
    parts = urlsplit(host)
    name = parts.hostname or ""
    if name == "localhost" or name.startswith("127.") or proxy_bypass(name):
        return None
    return getproxies().get(parts.scheme)
