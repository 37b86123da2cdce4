"""The way to a cluster is read again when it changes or is refused; nobody else notices."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from services.cluster_applier import door
from services.cluster_applier.kube import Kube, kube
from shared.config.target import Target
from shared.runtime.errors import TemporaryError
from tests.unit.cluster_applier.fakes import Answering, FakeApi, lines, serving

VERSION = {"gitVersion": "v1"}


def only(token: str, body: Any = VERSION) -> Answering:
    """Answer those who show *token*."""

    async def answer(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {token}":
            return web.json_response({"message": "Unauthorized"}, status=401)
        return web.json_response(body)

    return answer


def config_of(directory: Path, user: Any) -> Any:
    """Return the kubeconfig of the server that *directory* is for, for another *user*."""
    value = json.loads((directory / "kubeconfig").read_text())
    value["users"] = [{"name": "u", "user": user}]
    return value


def written(directory: Path, user: Any) -> Path:
    file = directory / "mine"
    file.write_text(json.dumps(config_of(directory, user)))
    return file


def program(directory: Path) -> Any:
    """Return a user whose token a program prints; it counts how often it was run."""
    script = directory / "login"
    head = '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"'
    script.write_text(
        f"#!/bin/sh\necho run >> {directory}/runs\n"
        f'echo \'{head}, "status": {{"token": "\'$(cat {directory}/token)\'"}}}}\'\n'
    )
    script.chmod(0o755)
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(script)}}


def runs(directory: Path) -> int:
    return (directory / "runs").read_text().count("run")


async def alive(kube: Kube, times: int) -> None:
    await asyncio.gather(*(kube.alive() for _ in range(times)))


@pytest.mark.parametrize("way", ["program", "file"])
async def test_a_token_that_expired_is_fetched_once_by_many_who_need_it(
    tmp_path: Path, way: str
) -> None:
    api, token = FakeApi(), tmp_path / "token"
    token.write_text("first")
    api.on("GET", "/version", only("first"))
    async with serving(api, tmp_path):
        user = program(tmp_path) if way == "program" else {"tokenFile": str(token)}
        async with kube(Target(kubeconfig=written(tmp_path, user))) as found:
            await alive(found, 1)
            token.write_text("second")
            api.on("GET", "/version", only("second"))
            await alive(found, 20)
    assert way == "file" or runs(tmp_path) == 2
    assert api.count("GET", "/version") == 1 + 20 + 20


async def test_who_is_refused_for_good_runs_no_program_again_and_again(tmp_path: Path) -> None:
    api = FakeApi()
    (tmp_path / "token").write_text("bad")
    api.on("GET", "/version", only("good"))
    async with (
        serving(api, tmp_path),
        kube(Target(kubeconfig=written(tmp_path, program(tmp_path)))) as found,
    ):
        for _ in range(10):
            with pytest.raises(TemporaryError, match="it refuses our credentials"):
                await found.alive()
        # One that can't be read any more leaves us with what we have.
        (tmp_path / "login").unlink()
        found._door._renewed = float("-inf")
        with pytest.raises(TemporaryError, match="it refuses our credentials"):
            await found.alive()
    assert runs(tmp_path) == 2


async def test_a_kubeconfig_in_a_secret_is_read_again_when_it_changes_or_is_refused(
    tmp_path: Path,
) -> None:
    api, other = FakeApi(), FakeApi()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = "/api/v1/namespaces/n/secrets/s"

    def hold(value: Any) -> None:
        data = {"value": base64.b64encode(json.dumps(value).encode()).decode()}
        api.on("GET", path, only("manager", {"data": data}))

    async with serving(api, tmp_path), serving(other, elsewhere):
        target = {
            "kubeconfig": written(tmp_path, {"token": "manager"}),
            "kubeconfig_secret": {"name": "s", "namespace": "n"},
        }
        hold(config_of(tmp_path, {"token": "first"}))
        api.on("GET", "/version", only("first"))
        api.on("WATCH", "/api/v1/configmaps", lines(hold=True))
        async with kube(Target.model_validate(target)) as found:
            await found.alive()
            hold(config_of(tmp_path, {"token": "second"}))
            api.on("GET", "/version", only("second"))
            await found.alive()
            assert api.count("GET", path) == 2

            watching = found.watch("/api/v1/configmaps", accept="application/json")
            assert (await anext(watching)).type == "BEGUN"
            hold(config_of(elsewhere, {"token": "third"}))
            other.on("GET", "/version", only("third"))
            found._door._due = asyncio.get_running_loop().time()
            await found.alive()
            assert other.count("GET", "/version") == 1
            # A watch goes on where it was, and ends with it.
            api.on("GET", path, (500, {"message": "in a mood"}))
            found._door._due = asyncio.get_running_loop().time()
            await found.alive()
            assert other.count("GET", "/version") == 2
            await watching.aclose()
        assert door.LOOK <= 60


async def test_a_server_that_moved_is_found_soon(tmp_path: Path) -> None:
    api, elsewhere = FakeApi(), tmp_path / "elsewhere"
    elsewhere.mkdir()
    api.on("GET", "/version", (200, VERSION))
    async with serving(api, elsewhere):
        value = config_of(elsewhere, {"token": "t"})
        away = json.loads(json.dumps(value))
        away["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:1"
        file = tmp_path / "mine"
        file.write_text(json.dumps(away))
        async with kube(Target(kubeconfig=file)) as found:
            found._door._read -= door.SOON
            with pytest.raises(TemporaryError, match="cluster default"):
                await found.alive()
            file.write_text(json.dumps(value))
            await found.alive()
