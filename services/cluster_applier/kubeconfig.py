"""
Finds the API server of a target, and who we are there: by a kubeconfig, or as the pod we run in.

kubernetes-asyncio reads what there is to read, makes the TLS connections and renews tokens. The
session on top is ours: theirs looks for a .netrc before each request, in a thread.
"""

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import yaml
from kubernetes_asyncio import config as kube_config
from kubernetes_asyncio.client import ApiClient

from services.cluster_applier.answers import Answer, decoded
from services.cluster_applier.domain.kubeconfigs import UnsafeError, checked
from shared.config.target import KubeconfigSecret, Target
from shared.runtime.errors import PermanentError

LONGEST_LINE = 2**21
"""Bytes; an event of a watch is one line, and etcd keeps objects of 1.5 MiB."""


class Door:
    """The way in: one session for all requests, and what each must show."""

    def __init__(self, api: ApiClient, session: aiohttp.ClientSession) -> None:
        self.host = str(api.configuration.host)
        self.session = session
        self.options: Mapping[str, Any] = _options(api, self.host)
        """For each request."""
        self._configuration = api.configuration

    async def authorization(self, account: str = "") -> Mapping[str, str]:
        """
        Return the headers that say who we are; nothing where a certificate does.

        With *account*, `namespace/name`, we act as that service account.
        """
        settings = await self._configuration.auth_settings()
        token = settings.get("BearerToken")
        shown = {"Authorization": token["value"].strip()} if token else {}
        if account:
            namespace, _, name = account.partition("/")
            shown["Impersonate-User"] = f"system:serviceaccount:{namespace}:{name}"
        return shown


@asynccontextmanager
async def door(target: Target) -> AsyncIterator[Door]:
    """
    Open the API server of *target*; nothing is asked of it yet.

    Raises:
        PermanentError: nothing says where it is, or what does can't be read.
    """
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(cast("Any", await _client(target)))
        if target.kubeconfig_secret is not None:
            found = await _secret(api, target, target.kubeconfig_secret)
            api = await stack.enter_async_context(cast("Any", await _by_value(target, found)))
        connector = api.rest_client.pool_manager.connector
        async with aiohttp.ClientSession(
            connector=connector, connector_owner=False, read_bufsize=LONGEST_LINE
        ) as session:
            yield Door(api, session)


async def _client(target: Target) -> ApiClient:
    if target.kubeconfig is None:
        try:
            kube_config.load_incluster_config()  # type: ignore[no-untyped-call]
            return ApiClient()
        except kube_config.ConfigException:
            return await _by_file(target, None)
    return await _by_file(target, str(target.kubeconfig))


async def _by_file(target: Target, file: str | None) -> ApiClient:
    """Read a kubeconfig; without a *file* the one that kubectl takes."""
    try:
        return await kube_config.new_client_from_config(config_file=file, context=target.context)
    except (kube_config.ConfigException, OSError) as error:
        where = file or "there is no pod's service account, and kubectl's own kubeconfig"
        raise PermanentError(
            f"target {target.name}: {where} can't be used: {error}; set targets[].kubeconfig"
        ) from error


async def _secret(api: ApiClient, target: Target, named: KubeconfigSecret) -> Any:
    """Return the kubeconfig that a Secret holds."""
    where = f"target {target.name}: the Secret {named.namespace}/{named.name}"
    settings = await api.configuration.auth_settings()
    shown = settings.get("BearerToken")
    headers = {"Authorization": shown["value"].strip()} if shown else {}
    path = f"/api/v1/namespaces/{named.namespace}/secrets/{named.name}"
    session, timeout = api.rest_client.pool_manager, aiohttp.ClientTimeout(total=target.timeout)
    try:
        async with session.get(
            f"{api.configuration.host}{path}", headers=headers, timeout=timeout
        ) as answer:
            body = decoded(await answer.read())
    except (aiohttp.ClientError, TimeoutError) as error:
        raise PermanentError(f"{where} can't be read: {error or 'no answer'}") from error
    if answer.status != 200:
        said = Answer(status=answer.status, body=body).reason
        raise PermanentError(f"{where} can't be read: {said}")
    try:
        text = base64.b64decode(body["data"][named.key])
        return checked(yaml.safe_load(text))
    except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        # Its text may hold what is in it.
        said = str(error) if isinstance(error, UnsafeError) else "it holds no kubeconfig"
        raise PermanentError(f"{where}, key {named.key}: {said}") from None


async def _by_value(target: Target, value: Any) -> ApiClient:
    try:
        return await kube_config.new_client_from_config_dict(value, context=target.context)
    except kube_config.ConfigException as error:
        raise PermanentError(f"target {target.name}: its Secret can't be used: {error}") from error


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
