"""
Reads where the API server of a target is, and who we are there: in a kubeconfig, or as a pod.

kubernetes-asyncio reads what there is to read, and makes the TLS connections. Read `door` for when
all of it is read again.
"""

import asyncio
import atexit
import base64
import functools
import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import yaml
from kubernetes_asyncio import config as kube_config
from kubernetes_asyncio.client import ApiClient

from services.cluster_applier import logins
from services.cluster_applier.domain.kubeconfigs import LARGEST, UnsafeError, checked
from services.cluster_applier.way import Way
from shared.config.target import KubeconfigSecret, Target
from shared.runtime.errors import PermanentError
from shared.runtime.own_folder import OwnFolder

logins.install()

_UNUSABLE = (
    *(kube_config.ConfigException, OSError, aiohttp.ClientError),
    *(AssertionError, AttributeError, LookupError, TypeError, ValueError),
    *(RecursionError, yaml.YAMLError),
)
"""What the library raises where a kubeconfig, or what it leads to, can't be used."""


@dataclass(frozen=True, slots=True)
class _Source:
    """What says how the server is reached; a change of it is a reason to read all anew."""

    file: bytes
    """Of the kubeconfig, where there is one."""
    value: Any
    """The kubeconfig that a Secret holds, where one does."""


async def way(target: Target) -> tuple[Way, _Source]:
    """
    Read how the API server of *target* is reached; nothing is asked of it yet.

    A program that the kubeconfig names is run, and a token that it keeps in a file is read.

    Raises:
        PermanentError: nothing says where it is, or what does can't be read.
    """
    source = await read(target)
    by_secret = target.kubeconfig_secret is not None
    api = await (_by_value(target, source.value) if by_secret else _client(target))
    return await _opened(api), source


async def read(target: Target) -> _Source:
    """Return what says now how the API server of *target* is reached."""
    try:
        file = target.kubeconfig.read_bytes() if target.kubeconfig else b""
    except OSError as error:
        raise PermanentError(f"the kubeconfig can't be read: {error}") from error
    if target.kubeconfig_secret is None:
        return _Source(file, None)
    keeper = await _opened(await _client(target))
    try:
        return _Source(file, await _secret(keeper, target, target.kubeconfig_secret))
    finally:
        await keeper.close()


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
    # A token that was renewed is kept where that may be, as kubectl does.
    keep = file is None or os.access(file, os.W_OK)
    try:
        return await kube_config.new_client_from_config(
            config_file=file,
            context=target.context,
            persist_config=keep,
            temp_file_path=_certificates(),
        )
    except _UNUSABLE as error:
        where = file or "there is no pod's service account, and kubectl's own kubeconfig"
        raise PermanentError(
            f"{where} can't be used: {_said(error)}; set targets[].kubeconfig"
        ) from error


async def _secret(keeper: Way, target: Target, named: KubeconfigSecret) -> Any:
    """Return the kubeconfig that a Secret holds, of the cluster to which *keeper* leads."""
    where = f"the Secret {named.namespace}/{named.name}"
    path = f"/api/v1/namespaces/{named.namespace}/secrets/{named.name}"
    try:
        answer = await keeper.ask("GET", path, seconds=target.timeout)
    except aiohttp.ClientError as error:
        raise PermanentError(f"{where} can't be read: {error or 'no answer'}") from error
    if not answer.ok:
        raise PermanentError(f"{where} can't be read: {answer.reason}")
    try:
        text = base64.b64decode(answer.body["data"][named.key])
        if len(text) > LARGEST:
            raise UnsafeError(f"it is larger than any kubeconfig, {LARGEST} bytes")
        return checked(await asyncio.to_thread(yaml.safe_load, text))
    except (KeyError, TypeError, ValueError, RecursionError, yaml.YAMLError) as error:
        # Its text may hold what is in it.
        said = str(error) if isinstance(error, UnsafeError) else "it holds no kubeconfig"
        raise PermanentError(f"{where}, key {named.key}: {said}") from None


async def _by_value(target: Target, value: Any) -> ApiClient:
    try:
        return await kube_config.new_client_from_config_dict(
            value, context=target.context, temp_file_path=_certificates()
        )
    except _UNUSABLE as error:
        raise PermanentError(f"its Secret can't be used: {_said(error)}") from error


async def _opened(api: ApiClient) -> Way:
    """Return the way that was read, if it is one that we can go."""
    server, proxy = api.configuration.host, api.configuration.proxy
    bad = "" if _is_http(server) else "server"
    bad = bad or ("" if not proxy or _is_http(proxy) else "proxy-url")
    if bad:
        await api.close()
        raise PermanentError(f"the {bad} of a cluster must begin with http:// or https://")
    return Way(api)


def _is_http(url: Any) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except (AttributeError, TypeError, ValueError):
        return False


@functools.cache
def _certificates() -> str:
    """Make the folder of the files to which the library writes certificates and keys, once."""
    folder = OwnFolder("kube")
    atexit.register(folder.remove)  # the library takes a file again as long as the process lives
    return str(folder.path)


def _said(error: Exception) -> str:
    """Return what an error says; what a parser says may hold what it has read."""
    tells = isinstance(error, kube_config.ConfigException | OSError)
    return str(error) if tells else f"it holds no kubeconfig ({type(error).__name__})"
