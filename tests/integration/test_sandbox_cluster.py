"""The real control plane: built once, started in seconds, several beside each other, gone."""

import asyncio
import base64
import os
import ssl
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
import yaml

from sandbox import controlplane_build, proctree
from sandbox.cluster import Cluster, cluster
from sandbox.errors import SandboxError
from sandbox.progress import silent

FAKE_GO = """#!/bin/sh
case "$1" in
  version) echo "go version go9.9.9 linux/amd64" ;;
  list) echo v1.36.3 ;;
  build) echo built >>"$COUNT"; [ -z "$BROKEN" ] || { echo "no space left" >&2; exit 1; }
    while [ "$1" != -o ]; do shift; done
    sleep 0.5; echo "#!/bin/sh" >"$2" ;;
esac
"""


@pytest.mark.cluster
async def test_two_side_by_side_answer_and_go_without_a_trace(tmp_path: Path) -> None:
    if not controlplane_build.is_built():
        pytest.skip("not built: python -m sandbox.controlplane_build")
    before = proctree.descendants(os.getpid())
    async with AsyncExitStack() as stack:
        one, two = await asyncio.gather(
            *(
                stack.enter_async_context(cluster(tmp_path / name, "real", say=silent))
                for name in ("a", "b")
            )
        )
        assert one.server != two.server
        assert one.kind == "real"
        assert (await _version(one))["gitVersion"] == (await _version(two))["gitVersion"]
        assert len(proctree.descendants(os.getpid()) - before) == 12
    assert proctree.descendants(os.getpid()) <= before


async def test_a_given_kubeconfig_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = tmp_path / "kubeconfig"
    given.write_text(
        "current-context: there\n"
        "contexts: [{name: there, context: {cluster: far, user: me}}]\n"
        "clusters: [{name: far, cluster: {server: 'https://api.example'}}]\n"
    )
    monkeypatch.setenv("SANDBOX_KUBECONFIG", str(given))
    async with cluster(tmp_path / "unused", "auto", say=silent) as it:
        assert (it.server, it.kubeconfig, it.kind) == ("https://api.example", given, "given")
    assert not (tmp_path / "unused").exists()

    given.write_text("contexts: []\n")
    with pytest.raises(SandboxError, match=r"SANDBOX_KUBECONFIG names .*kubeconfig"):
        async with cluster(tmp_path / "unused", "auto", say=silent):
            pass


async def test_two_builds_at_once_are_one(tmp_path: Path) -> None:
    first, second = await asyncio.gather(_build(tmp_path), _build(tmp_path))

    assert first[0] == second[0] == 0
    assert (tmp_path / "count").read_text() == "built\n"
    said = first[2] + second[2]
    assert "another copy builds the control plane: waiting for it" in said
    assert "building the real control plane" in said
    assert first[1] == second[1] != ""
    assert (await _build(tmp_path, "--check"))[0] == 0


async def test_a_failed_build_tells_why_and_leaves_no_file(tmp_path: Path) -> None:
    code, _, said = await _build(tmp_path, broken="yes")

    assert code == 1
    assert "could not be built" in said
    assert "no space left" in said
    assert (await _build(tmp_path, "--check"))[0] == 1


async def _version(it: Cluster) -> dict[str, str]:
    config = yaml.safe_load(it.kubeconfig.read_text())
    authority = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"])
    trust = ssl.create_default_context(cadata=authority.decode())
    login = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}
    async with (
        aiohttp.ClientSession(headers=login) as session,
        session.get(f"{it.server}/version", ssl=trust) as answer,
    ):
        assert answer.status == 200
        version: dict[str, str] = await answer.json()
        return version


async def _build(directory: Path, *options: str, broken: str = "") -> tuple[int, str, str]:
    go = directory / "bin/go"
    go.parent.mkdir(exist_ok=True)
    go.write_text(FAKE_GO)
    go.chmod(0o755)
    built = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sandbox.controlplane_build",
        *options,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ
        | {
            "PATH": f"{go.parent}:{os.environ['PATH']}",
            "FLUX_CACHE": str(directory / "cache"),
            "COUNT": str(directory / "count"),
            "BROKEN": broken,
        },
    )
    out, err = await built.communicate()
    return built.returncode or 0, out.decode(), err.decode()
