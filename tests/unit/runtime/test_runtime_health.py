"""What a process says of itself by HTTP."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from shared.runtime.errors import PermanentError
from shared.runtime.health import BEAT, LAG_NOW, Health
from shared.runtime.masking import Masking


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def get(http: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    async with http.get(url) as answer:
        return answer.status, await answer.text()


async def test_a_process_without_problems_is_ready(http: aiohttp.ClientSession) -> None:
    health = Health()
    health.check("log", lambda: None)
    async with health.serving("127.0.0.1", 0) as address:
        assert await get(http, f"{address}/livez") == (200, "ok\n")
        assert await get(http, f"{address}/readyz") == (200, "ok\n")


async def test_each_problem_has_a_line_and_the_process_lives_on(
    http: aiohttp.ClientSession,
) -> None:
    problems = {"broker": "connection\nlost"}
    health = Health(Masking(lambda: frozenset({"hunter22"})))
    health.check("log", lambda: "behind at a://u:p@h by hunter22")
    health.source(lambda: problems)
    async with health.serving("127.0.0.1", 0) as address:
        assert await get(http, f"{address}/readyz") == (
            503,
            "broker: connection lost\nlog: behind at a://***@h by ***\n",
        )
        assert (await get(http, f"{address}/livez"))[0] == 200

        problems.clear()
        health.check("log", lambda: None)
        assert (await get(http, f"{address}/readyz"))[0] == 200


async def test_who_is_away_is_told_and_makes_nobody_unready(http: aiohttp.ClientSession) -> None:
    health = Health(Masking(lambda: frozenset({"hunter22"})))
    health.away(lambda: {"git host a.example.com": "no answer to\nhunter22"})
    async with health.serving("127.0.0.1", 0) as address:
        told = "git host a.example.com: no answer to ***\n"
        assert await get(http, f"{address}/readyz") == (200, told)
        health.check("log", lambda: "behind")
        assert await get(http, f"{address}/readyz") == (503, f"{told}log: behind\n")


async def test_a_check_that_fails_makes_it_unready_and_not_dead(
    http: aiohttp.ClientSession,
) -> None:
    health = Health()
    health.check("log", lambda: str(1 / 0))
    async with health.serving("127.0.0.1", 0) as address:
        assert (await get(http, f"{address}/readyz"))[0] == 500
        assert (await get(http, f"{address}/livez"))[0] == 200


async def test_metrics_are_what_prometheus_reads(http: aiohttp.ClientSession) -> None:
    async with Health().serving("127.0.0.1", 0) as address:
        _, text = await get(http, f"{address}/metrics")

    names = {family.name for family in text_string_to_metric_families(text)}
    assert {"flux_event_loop_lag_seconds", "flux_event_loop_lag_last_seconds"} <= names


async def test_a_blocked_event_loop_is_seen() -> None:
    LAG_NOW.set(0)
    async with Health().serving("127.0.0.1", 0):
        await asyncio.sleep(BEAT / 2)
        time.sleep(2 * BEAT)  # noqa: ASYNC251 - the fault that is to be seen
        for _ in range(10):  # turns of the loop, not time
            await asyncio.sleep(0)
        assert LAG_NOW._value.get() > BEAT / 4


async def test_work_that_holds_up_the_event_loop_is_told_and_a_busy_machine_is_not() -> None:
    with capture_logs() as logs:
        async with Health().serving("127.0.0.1", 0):
            await asyncio.sleep(BEAT / 2)
            time.sleep(3 * BEAT)  # noqa: ASYNC251 - as if others had the processor
            await asyncio.sleep(BEAT)
            assert told(logs) == []
            work(3 * BEAT)
            await asyncio.sleep(BEAT)
    assert told(logs)[0]["event"] == "event loop held up"
    assert told(logs)[0]["seconds"] > BEAT


def told(logs: list) -> list:
    return [one for one in logs if one["log_level"] == "warning"]


def work(seconds: float) -> None:
    """Use the processor for so long."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


async def test_an_address_that_is_taken_is_told_with_its_remedy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PermanentError, match=f"127.0.0.1:{port}: .* under health in flux.yaml"):
            async with Health().serving("127.0.0.1", port):
                pass
