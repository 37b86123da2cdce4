"""Credentials that run out are fetched anew, and nobody notices: on the real control plane."""

import asyncio
import base64
import json
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from aiohttp import web
from kubernetes_asyncio.config import incluster_config

from sandbox.cluster import Cluster
from sandbox.kube import kube as person
from sandbox.ports import free_port
from services.cluster_applier.kube import kube
from shared.config.model import Config
from shared.config.target import Target
from shared.contract import SyncFailed
from shared.runtime.errors import TemporaryError
from tests.certificates import certificate
from tests.integration.accounts import grant, post
from tests.integration.applier_stage import Stage, config_map, configured, staged

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]

EVERYTHING = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]


async def token(stage: Stage, secret: str) -> str:
    """Return a token that is good for as long as a Secret of that name is there."""
    base = f"api/v1/namespaces/{stage.namespace}"
    made = await post(stage, f"{base}/secrets", {"metadata": {"name": secret}})
    bound = {"apiVersion": "v1", "kind": "Secret", "name": secret, "uid": made["metadata"]["uid"]}
    path = f"{base}/serviceaccounts/applier/token"
    answer = await post(stage, path, {"spec": {"boundObjectRef": bound}})
    return str(answer["status"]["token"])


def login(stage: Stage, directory: Path, user: Any) -> Path:
    """Return a kubeconfig of the cluster for that *user*."""
    value = yaml.safe_load(stage.cluster.kubeconfig.read_text())
    for one in value["users"]:
        one["user"] = user
    found = directory / f"kubeconfig-{len(list(directory.iterdir()))}"
    found.write_text(json.dumps(value))
    return found


async def revoke(stage: Stage, secret: str, directory: Path, value: str) -> None:
    """Wait until the API server refuses the token that is bound to a Secret."""
    await stage.kube.delete("Secret", secret, stage.namespace)
    async with person(login(stage, directory, {"token": value})) as old, asyncio.timeout(40):
        while (await old.call("GET", "version"))[0] != 401:
            await asyncio.sleep(0.2)


def program(directory: Path) -> Any:
    """Return a user whose token a program prints."""
    script = directory / "login"
    head = '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"'
    text = f'echo \'{head}, "status": {{"token": "\'$(cat {directory}/token)\'"}}}}\'\n'
    script.write_text(f"#!/bin/sh\n{text}")
    script.chmod(0o755)
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(script)}}


def pod(stage: Stage, directory: Path, patch: pytest.MonkeyPatch) -> None:
    """Let this process look as if it were in a pod of the cluster, with a token in a file."""
    value = yaml.safe_load(stage.cluster.kubeconfig.read_text())["clusters"][0]["cluster"]
    authority = directory / "ca.crt"
    authority.write_bytes(base64.b64decode(value["certificate-authority-data"]))
    server = urlsplit(value["server"])
    patch.setenv("KUBERNETES_SERVICE_HOST", str(server.hostname))
    patch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
    patch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(directory / "token"))
    patch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(authority))


def reached(stage: Stage, directory: Path, way: str, patch: pytest.MonkeyPatch) -> Config:
    """Return a configuration whose target is reached in that way, by the token in a file."""
    if way == "pod":
        pod(stage, directory, patch)
        (target,) = stage.config.targets
        alone = target.model_copy(update={"kubeconfig": None})
        return stage.config.model_copy(update={"targets": (alone,)})
    user = program(directory) if way == "program" else {"tokenFile": f"{directory}/token"}
    return configured(login(stage, directory, user), directory, stage.namespace)


@pytest.mark.parametrize("way", ["program", "file", "pod"])
async def test_a_token_that_is_refused_is_fetched_anew_and_nobody_notices(
    place: Cluster, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with staged(place, tmp_path) as stage:
        await grant(stage, "applier", EVERYTHING, everywhere=True)
        first = await token(stage, "first")
        (tmp_path / "token").write_text(f"{first}\n")
        stage.config = reached(stage, tmp_path, way, monkeypatch)
        async with stage.applying():
            await stage.declare(config_map("a", k="1"))
            await stage.completed()
            (tmp_path / "token").write_text(f"{await token(stage, 'second')}\n")
            await revoke(stage, "first", tmp_path, first)
            await stage.declare(config_map("a", k="2"))
            assert (await stage.completed()).counts == {"configured": 1}
            await stage.kube.delete("ConfigMap", "a", stage.namespace)
            await stage.wait_data("a", {"k": "2"})
        assert not [one for one in stage.told if isinstance(one, SyncFailed)]


def expiring(seconds: float) -> str:
    """Return a login that ends in so many seconds, as far as can be read; no server knows it."""
    claims = json.dumps({"exp": int(time.time() + seconds)}).encode()
    return f"x.{base64.b64encode(claims).decode().rstrip('=')}.x"


@asynccontextmanager
async def issuer(
    token: str, certified: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, list[str]]]:
    """Yield the address of who issues *token*, and the refresh tokens that were shown to it."""
    shown: list[str] = []
    address = f"http{'s' if certified else ''}://127.0.0.1:{(port := free_port())}"

    async def known(_: web.Request) -> web.Response:
        return web.json_response({"token_endpoint": f"{address}/token"})

    async def issue(request: web.Request) -> web.Response:
        shown.append(str((await request.post())["refresh_token"]))
        # Many issuers give no new refresh token.
        more = {} if certified else {"refresh_token": "second"}
        return web.json_response({"id_token": token, **more})

    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", known)
    app.router.add_post("/token", issue)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=certified).start()
    try:
        yield address, shown
    finally:
        await runner.cleanup()


def oidc(address: str, **more: str) -> Any:
    """Return a user with a login of that issuer, which ends in a moment."""
    config = {
        "client-id": "flux",
        "client-secret": "hunter2",
        "idp-issuer-url": address,
        "id-token": expiring(4.0),
        "refresh-token": "first",
    }
    return {"auth-provider": {"name": "oidc", "config": {**config, **more}}}


async def test_a_login_that_runs_out_while_it_works_is_renewed_where_it_was_issued(
    place: Cluster, tmp_path: Path
) -> None:
    async with staged(place, tmp_path) as stage:
        await grant(stage, "applier", EVERYTHING, everywhere=True)
        async with issuer(await token(stage, "good")) as (address, shown):
            kubeconfig = login(stage, tmp_path, oidc(address))
            stage.config = configured(kubeconfig, tmp_path, stage.namespace)
            async with stage.applying():
                await stage.declare(config_map("a", k="1"))
                assert (await stage.completed()).counts == {"created": 1}
        assert shown == ["first"]
        # Where it may be written it is kept, as kubectl does.
        kept = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["auth-provider"]
        assert kept["config"]["refresh-token"] == "second"


async def test_a_login_is_shown_to_its_issuer_alone(place: Cluster, tmp_path: Path) -> None:
    context, authority = certificate(tmp_path / "issuer")
    async with staged(place, tmp_path) as stage:
        await grant(stage, "applier", EVERYTHING, everywhere=True)
        async with issuer(await token(stage, "good"), context) as (address, shown):
            expired = {"id-token": expiring(-60.0)}
            unknown = login(stage, tmp_path, oidc(address, **expired))
            async with kube(Target(kubeconfig=unknown)) as api:
                with pytest.raises(TemporaryError, match="certificate verify failed"):
                    await api.alive()
            assert not shown
            data = {"idp-certificate-authority-data": base64.b64encode(authority).decode()}
            known = login(stage, tmp_path, oidc(address, **expired, **data))
            async with kube(Target(kubeconfig=known)) as api:
                assert (await api.get(f"/api/v1/namespaces/{stage.namespace}")).ok
            assert shown == ["first"]
