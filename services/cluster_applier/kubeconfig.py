"""
Reads where the API server of a target is, and who we are there: in a kubeconfig, or as a pod.

kubernetes-asyncio reads what there is to read, and makes the TLS connections. Read `door` for when
all of it is read again.
"""

import atexit
import base64
import functools
import os
from dataclasses import dataclass
from typing import Any, cast

import aiohttp
import yaml
from kubernetes_asyncio import config as kube_config
from kubernetes_asyncio.client import ApiClient

from services.cluster_applier import oidc
from services.cluster_applier.answers import Answer, body_of
from services.cluster_applier.domain.kubeconfigs import UnsafeError, checked
from services.cluster_applier.way import Way, shown
from shared.config.target import KubeconfigSecret, Target
from shared.runtime.errors import PermanentError
from shared.runtime.own_folder import OwnFolder

oidc.install()

_UNUSABLE = (
    *(kube_config.ConfigException, OSError, aiohttp.ClientError),
    *(AssertionError, KeyError, TypeError, ValueError, yaml.YAMLError),
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
    return Way(api), source


async def read(target: Target) -> _Source:
    """Return what says now how the API server of *target* is reached."""
    try:
        file = target.kubeconfig.read_bytes() if target.kubeconfig else b""
    except OSError as error:
        raise PermanentError(
            f"target {target.name}: the kubeconfig can't be read: {error}"
        ) from error
    if target.kubeconfig_secret is None:
        return _Source(file, None)
    async with cast("Any", await _client(target)) as api:
        return _Source(file, await _secret(api, target, target.kubeconfig_secret))


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
            f"target {target.name}: {where} can't be used: {_said(error)}; set targets[].kubeconfig"
        ) from error


async def _secret(api: ApiClient, target: Target, named: KubeconfigSecret) -> Any:
    """Return the kubeconfig that a Secret holds."""
    where = f"target {target.name}: the Secret {named.namespace}/{named.name}"
    headers = await shown(api)
    path = f"/api/v1/namespaces/{named.namespace}/secrets/{named.name}"
    session, timeout = api.rest_client.pool_manager, aiohttp.ClientTimeout(total=target.timeout)
    try:
        async with session.get(
            f"{api.configuration.host}{path}",
            headers=headers,
            timeout=timeout,
            allow_redirects=False,
        ) as answer:
            body = await body_of(answer)
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
        return await kube_config.new_client_from_config_dict(
            value, context=target.context, temp_file_path=_certificates()
        )
    except _UNUSABLE as error:
        raise PermanentError(
            f"target {target.name}: its Secret can't be used: {_said(error)}"
        ) from error


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
