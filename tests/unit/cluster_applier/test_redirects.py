"""A server that sends us elsewhere is not followed: what we send and believe is between us two."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from kubernetes_asyncio.config import ConfigException

from services.cluster_applier.kube import Kube, kube
from services.cluster_applier.logins import Issuer
from shared.config.target import Target
from shared.runtime.errors import PermanentError, TemporaryError
from tests.unit.cluster_applier.fakes import Answering, FakeApi, lines, owned, serving

PATH = "/api/v1/namespaces/n/secrets/s"
GOES = [("GET", PATH), ("PATCH", PATH), ("WATCH", "/api/v1/secrets"), ("POST", "/token")]


@pytest.fixture
def elsewhere() -> FakeApi:
    """A server that would take everything."""
    api = FakeApi()
    for method, path in GOES[:2]:
        api.on(method, path, (200, {"metadata": owned("s")}))
    api.on("WATCH", "/api/v1/secrets", lines())
    api.on("POST", "/token", (200, {"id_token": "t"}))
    return api


@pytest.fixture(params=[302, 307])
async def led_away(
    request: pytest.FixtureRequest, elsewhere: FakeApi, tmp_path: Path
) -> AsyncIterator[Kube]:
    """A server that sends everybody there."""
    (there := tmp_path / "there").mkdir()
    async with serving(elsewhere, there):
        api, address = FakeApi(), _address(there)
        for method, path in GOES:
            api.on(method, path, _to(f"{address}{path}", request.param))
        async with serving(api, tmp_path) as found:
            yield found


def _address(directory: Path) -> str:
    """Return where the server is whose kubeconfig lies there."""
    value = json.loads((directory / "kubeconfig").read_text())
    return str(value["clusters"][0]["cluster"]["server"])


def _to(address: str, status: int) -> Answering:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({}, status=status, headers={"Location": address})

    return answer


async def test_neither_objects_nor_questions_go_where_a_server_sends_us(
    led_away: Kube, elsewhere: FakeApi
) -> None:
    said = "it sends us to 127.0.0.1, where we don't go"
    answer = await led_away.apply(PATH, b"{}")
    assert (answer.ok, answer.passing) == (False, True)
    assert said in answer.reason
    with pytest.raises(TemporaryError, match="where we don't go"):
        await led_away.get(PATH)
    (event,) = [one async for one in led_away.watch("/api/v1/secrets", accept="application/json")]
    assert event.type == "ERROR"
    assert said in event.object["message"]
    assert not elsewhere.asked


@pytest.mark.usefixtures("led_away")
async def test_no_kubeconfig_comes_from_where_a_server_sends_us(
    elsewhere: FakeApi, tmp_path: Path
) -> None:
    target = Target.model_validate(
        {
            "kubeconfig": tmp_path / "kubeconfig",
            "kubeconfig_secret": {"name": "s", "namespace": "n"},
        }
    )
    with pytest.raises((PermanentError, TemporaryError), match="where we don't go"):
        async with kube(target) as found:
            await found.alive()
    assert not elsewhere.asked


@pytest.mark.usefixtures("led_away")
async def test_no_login_is_shown_where_its_issuer_sends_us(
    elsewhere: FakeApi, tmp_path: Path
) -> None:
    address = _address(tmp_path)
    issuer = Issuer("flux", "hunter2", address)
    issuer._well_known = {"token_endpoint": f"{address}/token"}
    with pytest.raises(ConfigException):
        await issuer.refresh_token("canary")
    assert not elsewhere.asked
