"""
Asks the program that a kubeconfig names for a credential, as kubectl does.

The protocol is `client.authentication.k8s.io`. What the program prints is never told; of what it
says of a failure what looks like a credential is masked, too.
"""

import base64
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from kubernetes_asyncio.config import ConfigException

from services.cluster_applier.running import Said, run
from shared.config import secrets
from shared.runtime.masking import MASK, SHORTEST, Masking

TOLD = 300
"""Characters of what it says, the last ones."""
_CREDENTIAL = re.compile(r"(?<![\w/])(?=[\w+=.~-]*\d)(?=[\w+=.~-]*[A-Za-z])[\w+=.~-]{20,}")
"""A long word of letters and digits that is no part of a path."""
_TOLD_OF_IT = (
    *("server", "certificate-authority-data", "insecure-skip-tls-verify"),
    *("tls-server-name", "proxy-url"),
)
"""What a program is told of its cluster, by the names of the kubeconfig."""
PAIR = ("clientCertificateData", "clientKeyData")
_CONFIG = "client.authentication.k8s.io/exec"
_MASK = Masking(secrets.known)


async def credential(
    asked: Mapping[str, Any], cluster: Mapping[str, Any], folder: str
) -> Mapping[str, Any]:
    """
    Return the `status` that the program prints: a token, or a certificate and its key.

    *asked* is what the kubeconfig says under `exec`, *cluster* the cluster that it is for, *folder*
    where the kubeconfig lies.

    Raises:
        ConfigException: it can't be run, fails, or prints something else.
    """
    command, version = str(asked.get("command") or ""), str(asked.get("apiVersion") or "")
    if not command or not version:
        raise ConfigException("exec names no command, or no apiVersion")
    path = str(Path(folder, command)) if "/" in command else command
    given = {str(one["name"]): str(one["value"]) for one in asked.get("env") or ()}
    info = {"KUBERNETES_EXEC_INFO": json.dumps(_info(asked, version, cluster, folder))}
    try:
        said = await run(
            [path, *map(str, asked.get("args") or ())],
            environment={**_environment(), **given, **info},
            folder=str(Path.cwd()),
        )
    except OSError as error:
        hint = f"; {asked['installHint']}" if asked.get("installHint") else ""
        raise ConfigException(f"{command} can't be run: {error.strerror}{hint}") from error
    if said.code:
        raise ConfigException(f"{command} ended with {said.code}: {_told(said, given)}")
    return _status(command, version, said.output)


def _environment() -> Mapping[str, str]:
    """Return ours, as kubectl passes it on, without the way to the broker."""
    return {name: one for name, one in os.environ.items() if not name.startswith("AMQP_URL")}


def _info(
    asked: Mapping[str, Any], version: str, cluster: Mapping[str, Any], folder: str
) -> Mapping[str, Any]:
    spec: dict[str, Any] = {"interactive": False}
    if asked.get("provideClusterInfo"):
        spec["cluster"] = _cluster(cluster, folder)
    return {"apiVersion": version, "kind": "ExecCredential", "spec": spec}


def _cluster(cluster: Mapping[str, Any], folder: str) -> Mapping[str, Any]:
    """Return what the program needs to reach the cluster itself."""
    found = {name: cluster[name] for name in _TOLD_OF_IT if name in cluster}
    if file := cluster.get("certificate-authority"):
        data = base64.b64encode(Path(folder, str(file)).read_bytes()).decode()
        found.setdefault("certificate-authority-data", data)
    for one in cluster.get("extensions") or ():
        if one.get("name") == _CONFIG:
            found["config"] = one.get("extension")
    return found


def _status(command: str, version: str, output: bytes) -> Mapping[str, Any]:
    said, status, usable = "", {}, False
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        printed = json.loads(output)
        said, status = printed["apiVersion"], printed["status"]
        usable = bool(status.get("token") or {*PAIR} <= status.keys())
    if not usable:
        raise ConfigException(f"{command} prints no credential")
    if said != version:
        raise ConfigException(f"{command} prints none of {version}, as the kubeconfig wants it")
    return cast("Mapping[str, Any]", status)


def _told(said: Said, given: Mapping[str, str]) -> str:
    """Return the end of what it says of a failure, without what it was given."""
    text = " ".join(said.errors.split())
    for value in sorted(given.values(), key=len, reverse=True):
        if len(value) >= SHORTEST:
            text = text.replace(value, MASK)
    return _CREDENTIAL.sub(MASK, _MASK(text))[-TOLD:] or "it says nothing"
