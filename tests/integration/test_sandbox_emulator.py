"""The emulator as a process: how it starts, whom it lets in, what it counts, how it ends."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from sandbox.cluster import cluster
from sandbox.kube import kube
from sandbox.progress import silent


@asynccontextmanager
async def _process(directory: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    argv = ("-m", "sandbox.emulator", "--dir", directory, "--exit-on-stdin-eof")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *map(str, argv),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )
    try:
        assert process.stdout is not None
        said = json.loads(await process.stdout.readline())
        yield process, said["server"]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_it_ends_with_its_standard_input_though_a_watch_is_open(tmp_path: Path) -> None:
    async with _process(tmp_path) as (process, server), aiohttp.ClientSession() as session:
        token = json.loads((tmp_path / "kubeconfig").read_text())["users"][0]["user"]["token"]
        login = {"Authorization": f"Bearer {token}"}
        async with session.get(f"{server}/api/v1/namespaces?watch=1", headers=login) as events:
            assert events.status == 200
            assert process.stdin is not None
            process.stdin.close()
            async with asyncio.timeout(30):
                assert await process.wait() == 0
    assert (tmp_path / "kubeconfig").stat().st_mode & 0o077 == 0


async def test_nobody_is_let_in_without_the_token(tmp_path: Path) -> None:
    async with _process(tmp_path) as (_, server), aiohttp.ClientSession() as session:
        for login in ({}, {"Authorization": "Bearer wrong"}):
            async with session.get(f"{server}/api/v1/namespaces", headers=login) as answer:
                assert answer.status == 401
                assert (await answer.json())["reason"] == "Unauthorized"
        for path in ("version", "readyz", "livez"):
            async with session.get(f"{server}/{path}") as answer:
                assert answer.status == 200


async def test_every_request_is_counted(tmp_path: Path) -> None:
    async with (
        cluster(tmp_path, "emulator", say=silent) as it,
        kube(it.kubeconfig) as api,
        aiohttp.ClientSession() as session,
    ):
        await api.call("GET", "api/v1/namespaces", limit="1")
        await api.call("DELETE", "api/v1/namespaces/default/configmaps/none")
        async with session.get(f"{it.server}/emulator/requests") as answer:
            counted = await answer.json()
    assert counted == [
        {"method": "GET", "path": "/api/v1/namespaces?limit=1"},
        {"method": "DELETE", "path": "/api/v1/namespaces/default/configmaps/none"},
    ]
