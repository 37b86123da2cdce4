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
from tests.certificates import certificate
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
        old = {"token": "old"}  # kubectl prefers a file, too
        user = program(tmp_path) if way == "program" else {"tokenFile": str(token), **old}
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


def changed(value: Any, path: str, one: object) -> Any:
    """Return a kubeconfig with *one* at a path like `users.0.user`."""
    found = part = json.loads(json.dumps(value))
    *way, last = path.split(".")
    for step in way:
        part = part[int(step) if step.isdigit() else step]
    part[last] = one
    return found


@pytest.mark.parametrize(
    ("path", "one", "said"),
    [
        ("users", ["hunter2"], "it holds no kubeconfig"),
        ("users", 5, "it holds no kubeconfig"),
        ("clusters", {"hunter2": 1}, "it holds no kubeconfig"),
        ("contexts.0.context", "hunter2", "it holds no kubeconfig"),
        ("contexts.0.context.cluster", ["hunter2"], "it holds no kubeconfig"),
        ("users.0.user", "hunter2", "it holds no kubeconfig"),
        ("users.0.user.token", ["hunter2"], "it holds no kubeconfig"),
        ("users.0.user.token", "hunter2\nX: y", "our token holds what no token may"),
        ("users.0.user.exec", {"command": "hunter2"}, "users may not use exec"),
        ("clusters.0.cluster.proxy-url", 5, "it holds no kubeconfig"),
        ("clusters.0.cluster.proxy-url", "socks5://hunter2", "the proxy-url of a cluster must"),
        ("clusters.0.cluster.server", "file:///hunter2", "the server of a cluster must"),
        ("clusters.0.cluster.server", "https://hunter2:x", "the server of a cluster must"),
        ("x", "hunter2" * 50_000, "it is larger than any kubeconfig"),
        ("", "[" * 5_000, "it holds no kubeconfig"),
    ],
)
async def test_a_secret_that_holds_no_kubeconfig_ends_nobody_and_tells_no_value(
    tmp_path: Path, path: str, one: object, said: str
) -> None:
    api = FakeApi()
    async with serving(api, tmp_path):
        value = config_of(tmp_path, {"token": "t"})
        text = json.dumps(changed(value, path, one)) if path else str(one)
        data = {"value": base64.b64encode(text.encode()).decode()}
        api.on("GET", "/api/v1/namespaces/n/secrets/s", (200, {"data": data}))
        target = {
            "kubeconfig": tmp_path / "kubeconfig",
            "kubeconfig_secret": {"name": "s", "namespace": "n"},
        }
        async with kube(Target.model_validate(target)) as found:
            with pytest.raises(TemporaryError, match=f"^cluster default: .*{said}") as caught:
                await found.alive()
    assert "hunter2" not in str(caught.value)


async def test_a_cluster_that_is_not_to_be_found_yet_is_reached_once_it_is(tmp_path: Path) -> None:
    api = FakeApi()
    api.on("GET", "/version", (200, VERSION))
    async with serving(api, tmp_path):
        file = tmp_path / "later"
        async with kube(Target(kubeconfig=file)) as found:
            for _ in range(2):
                with pytest.raises(TemporaryError, match="the kubeconfig can't be read"):
                    await found.alive()
            file.write_text(json.dumps(config_of(tmp_path, {"token": "t"})))
            found._door._due -= door.SOON
            await found.alive()


async def test_an_authority_that_was_renewed_is_trusted_once_the_old_one_fails(
    tmp_path: Path,
) -> None:
    api, (_, old), (tls, new) = FakeApi(), *(certificate(tmp_path / one) for one in ("old", "new"))
    api.on("GET", "/version", (200, VERSION))
    async with serving(api, tmp_path, tls=tls):
        value = config_of(tmp_path, {"token": "t"})
        value["clusters"][0]["cluster"]["certificate-authority"] = "ca.crt"
        (tmp_path / "ca.crt").write_bytes(old)
        (tmp_path / "mine").write_text(json.dumps(value))
        async with kube(Target(kubeconfig=tmp_path / "mine")) as found:
            for _ in range(2):
                with pytest.raises(TemporaryError, match="certificate verify failed"):
                    await found.alive()
                found._door._read -= door.SOON
            (tmp_path / "ca.crt").write_bytes(new)
            await found.alive()


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
            for _ in range(2):
                with pytest.raises(TemporaryError, match="cluster default"):
                    await found.alive()
                found._door._read -= door.SOON
            file.write_text(json.dumps(value))
            await found.alive()
