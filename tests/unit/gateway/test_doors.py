"""Who is let in, who may listen, and that everybody is let go."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from services.gateway import stream
from services.gateway.auth import is_allowed
from services.gateway.http_api import serving
from services.gateway.main import wire
from shared.contract import DependencyUp, SyncCompleted
from shared.runtime.errors import PermanentError
from shared.runtime.health import Health
from tests.unit.gateway.stage import OLD, REPOSITORY, Stage, a_stage, config

DONE = SyncCompleted(sync="apps", target="default", repository=REPOSITORY, revision=OLD)
UP = DependencyUp(service="git-watcher", dependency="git host x", seconds=1.0)


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("authorization", "allowed"),
    [
        ("Scope-Probe token=s3cret", True),
        ("scope-probe token=s3cret", True),
        ("Bearer s3cret", True),
        (basic("anybody:s3cret"), True),
        (basic("s3cret:"), True),
        (basic("s3cret:wrong"), False),
        (basic("s3cret"), True),
        ("", False),
        ("Bearer", False),
        ("Bearer ", False),
        ("Bearer s3cre", False),
        ("Digest s3cret", False),
        ("s3cret", False),
        ("Basic ???", False),
        ("Basic \udcff", False),
        ("Bearer \udcff", False),
        ("Basic é", False),
    ],
)
def test_a_token_is_known_in_each_form_that_clients_have(
    authorization: str, *, allowed: bool
) -> None:
    assert is_allowed(authorization, "s3cret") is allowed


async def test_without_the_token_nothing_is_served_and_it_is_told_how(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GATEWAY_TOKEN", "s3cret")
    async with a_stage(token={"env": "GATEWAY_TOKEN"}) as stage:
        for path in ("v6/services", "v7/nothing", "v3/x", "../v1/syncs", "../v1/events"):
            status, error = await stage.send("GET", path)
            assert status == 401
            assert "--token" in error["help"]
            assert "s3cret" not in str(error)


async def test_a_token_that_is_gone_lets_nobody_in_and_shows_no_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_stage(token={"env": "GATEWAY_TOKEN"}) as stage:
        monkeypatch.delenv("GATEWAY_TOKEN", raising=False)
        status, error = await stage.send("GET", "v6/services", Authorization="Bearer ")
        assert status == 500
        assert "GATEWAY_TOKEN" not in str(error)


async def test_a_gateway_whose_token_can_not_be_read_does_not_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GATEWAY_TOKEN", raising=False)
    async with a_stage() as stage:
        given = config(token={"env": "GATEWAY_TOKEN"})
        with pytest.raises(PermanentError, match="GATEWAY_TOKEN"):
            async with wire(given, stage.bus, Health()):
                pass


def test_off_loopback_a_token_is_needed() -> None:
    for listen in ("0.0.0.0:3030", ":3030", "[::]:3030", "gateway.example.com:3030"):
        with pytest.raises(ValueError, match=r"gateway\.token is needed"):
            config(listen=listen)
        assert config(listen=listen, token={"env": "GATEWAY_TOKEN"}).gateway.listen == listen
    for listen in ("127.0.0.1:3030", "localhost:3030", "[::1]:3030"):
        assert config(listen=listen).gateway.token is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example.com"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 202),
        ({}, 202),
    ],
)
async def test_a_page_of_another_site_gives_no_orders(headers: dict, status: int) -> None:
    body = b'{"Kind":"git","Source":{}}'
    async with a_stage() as stage:
        found, _ = await stage.send("POST", "v11/notify", body, **headers)
        assert found == status


async def test_a_page_of_our_own_gives_orders() -> None:
    async with a_stage() as stage:
        origin = stage.url.removesuffix("/api/flux")
        body = b'{"Kind":"git","Source":{}}'
        assert (await stage.send("POST", "v11/notify", body, Origin=origin))[0] == 202


def events(stage: Stage) -> str:
    return stage.url.replace("/api/flux", "/api/v1/events")


async def heard(answer: aiohttp.ClientResponse) -> AsyncIterator[dict]:
    async for line in answer.content:
        if line.startswith(b"data: "):
            yield json.loads(line.removeprefix(b"data: "))


async def listening(stage: Stage, count: int) -> None:
    async with asyncio.timeout(30):
        while len(stage.listeners) != count:
            await asyncio.sleep(0)


async def test_who_listens_hears_what_happens_from_now_on_and_only_what_was_asked_for() -> None:
    async with a_stage() as stage, asyncio.timeout(30):
        await stage.follower.wait_caught_up(1)
        async with stage.session.get(events(stage), params={"type": DONE.type}) as answer:
            assert answer.content_type == "text/event-stream"
            await stage.say(UP, DONE)
            first = await anext(heard(answer))
    assert (first["type"], first["data"]["revision"]) == (DONE.type, OLD)


async def test_who_has_gone_is_noticed_though_nothing_happens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "KEEP_ALIVE", 0.01)
    async with a_stage() as stage:
        answer = await stage.session.get(events(stage))
        await listening(stage, 1)
        assert (await answer.content.readline()).startswith(b":")
        answer.close()
        await listening(stage, 0)


async def test_who_is_too_slow_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "WAITING", 1)
    async with a_stage() as stage, asyncio.timeout(30):
        await stage.follower.wait_caught_up(1)
        async with stage.session.get(events(stage)) as answer:
            for _ in range(3):
                stage.listeners.tell(1, await envelope(stage))
            assert len(stage.listeners) == 0
            await answer.content.read()


async def test_the_end_of_the_gateway_ends_every_stream_properly() -> None:
    async with a_stage() as stage, asyncio.timeout(30):
        async with serving(stage.api, "127.0.0.1", 0) as url:
            ours = url.replace("/api/flux", "/api/v1/events")
            answer = await stage.session.get(ours)
            await listening(stage, 1)
        assert await answer.content.read() == b""
        # Who comes in the last moment is let go at once.
        async with stage.session.get(events(stage)) as late:
            assert await late.content.read() == b""


async def envelope(stage: Stage) -> object:
    async for _, one in stage.bus.events("flux.log"):
        return one
    raise AssertionError("the log is endless")
