"""Where docker-registry can't be had, the sandbox's registries are of our own, and it says so."""

from pathlib import Path

import aiohttp
import pytest

from sandbox.images import Images
from sandbox.registry import Registry, registry

LOGIN = ("robot", "canary-5f1d0c")


@pytest.fixture
def _nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # neither docker-registry nor apt-get


@pytest.mark.usefixtures("_nothing_installed")
async def test_without_docker_registry_one_of_our_own_takes_its_place(tmp_path: Path) -> None:
    said: list[str] = []
    async with registry(tmp_path, LOGIN, say=said.append) as own:
        async with Images(own.host, LOGIN) as images:
            await images.push("acme/web", "1.0.0")
        assert (await status(own), await status(own, LOGIN)) == (401, 200)
    assert "no docker-registry" in said[0]
    assert own.how == "our own registry"


@pytest.mark.usefixtures("_nothing_installed")
async def test_started_again_it_has_its_port_and_its_images(tmp_path: Path) -> None:
    async with registry(tmp_path) as own:
        async with Images(own.host) as images:
            await images.push("acme/web", "1.0.0")
        host = own.host
        await own.stop()
        with pytest.raises(aiohttp.ClientConnectorError):
            await status(own)
        await own.start()
        async with Images(host) as images:
            assert await images.tags("acme/web") == ["1.0.0"]


async def status(registry: Registry, login: tuple[str, str] | None = None) -> int:
    headers = {"Authorization": aiohttp.encode_basic_auth(*login)} if login else {}
    url = f"http://{registry.host}/v2/"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status
