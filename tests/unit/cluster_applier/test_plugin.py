"""A program that a kubeconfig names is asked as kubectl asks it, and tells nobody what it knows."""

import asyncio
import base64
import json
import os
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from kubernetes_asyncio.config import ConfigException

from services.cluster_applier.kube import kube
from services.cluster_applier.plugin import credential
from shared.config.target import Target
from shared.runtime.errors import TemporaryError
from tests.certificates import certificate
from tests.unit.cluster_applier.fakes import FakeApi, serving
from tests.unit.cluster_applier.test_kubeconfig import (
    VERSION,
    changed,
    config_of,
    only,
    written,
)

API = "client.authentication.k8s.io/v1"
CLUSTER = {"server": "https://10.0.0.1"}


def program(folder: Path, code: str, name: str = "login") -> Path:
    """Return a program of Python code."""
    file = folder / name
    file.write_text(f"#!{sys.executable} -I\nimport json, os, sys, time\n{code}\n")
    file.chmod(0o755)
    return file


def printing(**status: str) -> str:
    said = {"apiVersion": API, "kind": "ExecCredential", "status": status}
    return f"print({json.dumps(said)!r})"


def user(command: object, **more: Any) -> Any:
    return {"exec": {"apiVersion": API, "command": str(command), **more}}


async def asked(folder: Path, code: str, **more: Any) -> Mapping[str, Any]:
    given = user(program(folder, code), **more)["exec"]
    return await credential(given, CLUSTER, str(folder))


async def test_it_is_run_with_its_arguments_and_told_of_its_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "flux")
    monkeypatch.setenv("AMQP_URL_CLUSTER_APPLIER", "amqp://u:hunter2@broker/")
    (tmp_path / "ca.crt").write_text("authority")
    code = (
        "found = [sys.argv[1:], os.environ['REGION'], os.environ['KUBERNETES_EXEC_INFO']]\n"
        "assert 'AWS_PROFILE' in os.environ and 'hunter2' not in str(os.environ)\n"
        f"print(json.dumps({{'apiVersion': '{API}', 'status': {{'token': found}}}}))"
    )
    config = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "a"}}
    cluster = {"certificate-authority": "ca.crt", "extensions": [config], **CLUSTER}
    given = user("./login", args=["get", 5], env=[{"name": "REGION", "value": "eu"}])["exec"]
    program(tmp_path, code)
    told = []
    for more in ({}, {"provideClusterInfo": True}):
        found = await credential({**given, **more}, cluster, str(tmp_path))
        arguments, region, info = found["token"]
        assert (arguments, region) == (["get", "5"], "eu")
        told.append(json.loads(info))
    assert told[0] == {"apiVersion": API, "kind": "ExecCredential", "spec": {"interactive": False}}
    assert told[1]["spec"]["cluster"] == {
        **CLUSTER,
        "certificate-authority-data": base64.b64encode(b"authority").decode(),
        "config": {"audience": "a"},
    }


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("print('hunter2')", "login prints no credential"),
        ("print('[]')", "login prints no credential"),
        (printing(), "login prints no credential"),
        (printing(clientCertificateData="hunter2"), "login prints no credential"),
        (printing(token="hunter2").replace("/v1", "/v1beta1"), "login prints none of .*/v1,"),
        ("sys.exit('no session,\\nlog in')", "login ended with 1: no session, log in$"),
        ("sys.exit('neither hunter2 nor s3cret:' + 'a1B2' * 6)", r" \*\*\* nor s3cret:\*\*\*$"),
        ("os.kill(os.getpid(), 9)", "login ended with -9: it says nothing"),
    ],
)
async def test_one_that_fails_says_why_and_no_secret(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], code: str, said: str
) -> None:
    given = [{"name": "PASSWORD", "value": "hunter2"}]
    with pytest.raises(ConfigException, match=said) as caught:
        await asked(tmp_path, code, env=given)
    assert "hunter2" not in f"{caught.value}{capfd.readouterr()}"
    assert "a1B2" not in str(caught.value)


async def test_one_that_is_not_there_says_how_to_get_it(tmp_path: Path) -> None:
    given = user("flux-no-such-login", installHint="see https://example.com")["exec"]
    with pytest.raises(ConfigException, match=r"can't be run: No such file .*; see https"):
        await credential(given, CLUSTER, str(tmp_path))


async def test_one_that_hangs_is_ended_and_others_are_not_held_up(tmp_path: Path) -> None:
    program(tmp_path, f"open('{tmp_path}/pids', 'a').write(f'{{os.getpid()}} ')\ntime.sleep(60)")
    target = Target(kubeconfig=_file(tmp_path, user("./login")), timeout=1.0)
    async with asyncio.timeout(20), kube(target) as found:
        for _ in range(2):
            with pytest.raises(TemporaryError, match=r"cluster default: .* does not end"):
                await asyncio.gather(*(found.alive() for _ in range(5)))
    (pid,) = (tmp_path / "pids").read_text().split()  # it was run once for all of them
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def _file(folder: Path, given: Any) -> Path:
    (folder / "kubeconfig").write_text(
        json.dumps(
            {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
                "clusters": [{"name": "k", "cluster": {"server": "http://127.0.0.1:1"}}],
                "users": [{"name": "u", "user": given}],
            }
        )
    )
    return folder / "kubeconfig"


async def test_the_token_that_it_prints_is_shown(tmp_path: Path) -> None:
    api = FakeApi()
    api.on("GET", "/version", only("good", VERSION))
    program(tmp_path, printing(token="good"))
    async with serving(api, tmp_path):
        file = written(tmp_path, user("./login"))
        async with kube(Target(kubeconfig=file)) as found:
            await found.alive()


async def test_the_certificate_that_it_prints_is_shown_to_a_server_that_it_was_told_of(
    tmp_path: Path,
) -> None:
    """The server is one of another name, behind a kubeconfig in a Secret that it keeps itself."""
    api, (tls, authority) = FakeApi(), certificate(tmp_path / "tls", "DNS:api.example.com")
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(tmp_path / "tls" / "certificate")
    api.on("GET", "/version", (200, VERSION))
    pair = {"clientCertificateData": "certificate", "clientKeyData": "key"}
    status = {key: (tmp_path / "tls" / file).read_text() for key, file in pair.items()}
    program(tmp_path, printing(**status))
    async with serving(api, tmp_path, tls=tls):
        value = config_of(tmp_path, user("./login"))
        value["clusters"][0]["cluster"] |= {
            "certificate-authority-data": base64.b64encode(authority).decode(),
            "tls-server-name": "api.example.com",
        }
        (tmp_path / "mine").write_text(json.dumps(value))
        held = changed(
            value, "users.0.user", {"client-certificate-data": "", "client-key-data": ""}
        )
        for key, name in zip(pair, held["users"][0]["user"], strict=True):
            held["users"][0]["user"][name] = base64.b64encode(status[key].encode()).decode()
        data = {"value": base64.b64encode(json.dumps(held).encode()).decode()}
        api.on("GET", "/api/v1/namespaces/n/secrets/s", (200, {"data": data}))
        for more in ({}, {"kubeconfig_secret": {"name": "s", "namespace": "n"}}):
            target = Target.model_validate({"kubeconfig": tmp_path / "mine", **more})
            async with kube(target) as found:
                await found.alive()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"token": "t", "as": "admin", "as-groups": ["x"]}, "users may not use as, as-groups"),
        ({"auth-provider": {"name": "gcp"}}, "there is no auth-provider gcp any more; use exec"),
        ({"exec": {"command": "x"}}, "exec names no command, or no apiVersion"),
        ({"exec": "hunter2"}, "it holds no kubeconfig"),
        (
            {"auth-provider": {"name": "oidc", "config": {"refresh-token": "hunter2"}}},
            r"Expected key client-id in .*users\[0\]/user/auth-provider/config",
        ),
        ("hunter2", "it holds no kubeconfig"),
    ],
)
async def test_a_user_that_can_not_be_used_is_told_and_not_overlooked(
    tmp_path: Path, given: Any, said: str
) -> None:
    async with kube(Target(kubeconfig=_file(tmp_path, given))) as found:
        with pytest.raises(TemporaryError, match=said) as caught:
            await found.alive()
    assert "hunter2" not in str(caught.value)
