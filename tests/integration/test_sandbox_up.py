"""``python -m sandbox up``: one line of JSON, everything behind it, and no trace afterwards."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox import proctree

pytestmark = [pytest.mark.rabbit, pytest.mark.e2e]


async def up(directory: Path, *options: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "sandbox", "up", "--json", "--cluster", "emulator", *options),
        stdout=PIPE,
        env=_environment(directory),
    )


async def test_two_copies_side_by_side_that_go_without_a_trace(tmp_path: Path) -> None:
    copies = [await up(tmp_path / name) for name in ("a", "b")]
    one, two = [await _said(copy) for copy in copies]
    families = [proctree.descendants(copy.pid) for copy in copies]
    try:
        assert all(families)
        for name in ("amqp_url", "git_http_url", "git_ssh_url", "registry", "cluster_server"):
            assert one[name] != two[name]
        assert one["cluster_kind"] == "emulator"
        assert await _status(f"http://{one['registry']}/v2/") == 200
        assert await _status(f"http://{one['registry_auth']}/v2/") == 401
        assert await _status(f"http://{one['oci_registry']}/v2/") == 200
        login = (one["registry_auth_username"], one["registry_auth_password"])
        assert await _status(f"http://{one['registry_auth']}/v2/", login) == 200
        login = (one["rabbitmq_username"], one["rabbitmq_password"])
        assert await _status(f"{one['management_url']}/api/whoami", login) == 200
        login = (one["git_username"], one["git_password"])
        assert (
            await _status(f"{one['git_http_url']}/info/refs?service=git-upload-pack", login) == 200
        )
        assert await _status(f"{one['git_http_url']}/info/refs?service=git-upload-pack") == 401
        assert "current-context" in _read(one["kubeconfig"])
    finally:
        copies[0].terminate()
        copies[1].send_signal(signal.SIGINT)
        codes = [await copy.wait() for copy in copies]

    assert codes == [0, 0]
    assert list((tmp_path / "a").iterdir()) == list((tmp_path / "b").iterdir()) == []
    for family in families:
        assert not [process for process in family if proctree.is_alive(process)]


async def test_killed_it_leaves_no_process(tmp_path: Path) -> None:
    copy = await up(tmp_path / "a", "--dir", str(tmp_path / "kept"))
    await _said(copy)
    family = proctree.descendants(copy.pid)

    copy.kill()
    await copy.wait()

    async with asyncio.timeout(30):
        while any(proctree.is_alive(process) for process in family):
            await asyncio.sleep(0.05)


async def test_a_stop_before_it_is_ready_leaves_nothing_either(tmp_path: Path) -> None:
    copy = await up(tmp_path / "a")
    async with asyncio.timeout(30):
        while len(proctree.descendants(copy.pid)) < 3:
            await asyncio.sleep(0.02)
    family = proctree.descendants(copy.pid)

    copy.terminate()

    assert await copy.wait() == 0
    assert list((tmp_path / "a").iterdir()) == []
    assert not [process for process in family if proctree.is_alive(process)]


def _environment(directory: Path) -> dict[str, str]:
    directory.mkdir()
    given = {"AMQP_URL", "SANDBOX_KUBECONFIG"}
    kept = {name: value for name, value in os.environ.items() if name not in given}
    return kept | {"TMPDIR": str(directory)}


def _read(path: str) -> str:
    return Path(path).read_text()


async def _said(copy: Process) -> dict[str, Any]:
    assert copy.stdout is not None
    line = await copy.stdout.readline()
    said: dict[str, Any] = json.loads(line)
    return said


async def _status(url: str, login: tuple[str, str] | None = None) -> int:
    headers = {"Authorization": aiohttp.encode_basic_auth(*login)} if login else {}
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status
