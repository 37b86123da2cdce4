"""A service starts in order, says how it is, and ends as it is told; as a process of its own."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import pytest

from shared.config.model import Config
from shared.runtime import service
from shared.runtime.health import Health
from shared.runtime.lifecycle import Worker

PROGRAM = """
import asyncio, os
from contextlib import asynccontextmanager
from shared.runtime import service
from shared.runtime.errors import PermanentError

async def worker(stop):
    await stop.wait()

@asynccontextmanager
async def wire(config, bus, health):
    {wire}
    yield {{"consume": worker}}

service.main("gateway", wire)
"""


class Bus:
    """A bus without a broker: the life of a process asks nothing of it but its problems."""

    def __init__(self) -> None:
        self.broken: dict[str, str] = {}
        self.gone: dict[str, str] = {}

    def problems(self) -> Mapping[str, str]:
        return self.broken

    def away(self) -> Mapping[str, str]:
        return self.gone


def config(port: int = 0) -> Config:
    sync = {"name": "apps", "git": {"url": "x"}}
    return Config.model_validate({"syncs": [sync], "health": {"gateway": port}})


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "flux.yaml"
    sync = {"name": "apps", "git": {"url": "x"}}
    path.write_text(json.dumps({"syncs": [sync], "health": {"gateway": closed_port()}}))
    return path


@contextmanager
def process(
    config_file: Path, wire: str = "", **environment: str
) -> Iterator[subprocess.Popen[str]]:
    amqp_url = f"amqp://flux:hunter22@127.0.0.1:{closed_port()}"
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(wire=wire), "--config", str(config_file)],
        env={**os.environ, "AMQP_URL": amqp_url, **environment},
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def until(running: subprocess.Popen[str], event: str) -> list[dict[str, str]]:
    assert running.stderr is not None
    told = []
    for line in running.stderr:
        told.append(json.loads(line))
        if told[-1]["event"] == event:
            return told
    raise AssertionError(f"{event} was not logged: {told}")


async def readyz(address: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as http, http.get(f"{address}/readyz") as answer:
        return answer.status, await answer.text()


async def test_it_is_alive_and_unready_until_its_workers_run() -> None:
    bus, health, port = Bus(), Health(), closed_port()
    address = f"http://127.0.0.1:{port}"
    order: list[str] = []

    @asynccontextmanager
    async def connect(source: str) -> AsyncIterator[Bus]:
        order.append(source)
        assert await readyz(address) == (503, "service: is starting\n")
        bus.broken = {"broker": "connection refused"}
        yield bus
        order.append("bus closed")

    @asynccontextmanager
    async def wire(_: Config, given: Bus, __: Health) -> AsyncIterator[Mapping[str, Worker]]:
        assert given is bus
        problems = "broker: connection refused\nservice: is starting\n"
        assert await readyz(address) == (503, problems)
        yield {"work": work}
        order.append("unwired")

    async def work(stop: asyncio.Event) -> None:
        bus.broken = {}
        assert await readyz(address) == (200, "ok\n")
        bus.gone = {"git host x": "no answer"}
        assert await readyz(address) == (200, "git host x: no answer\n")
        bus.gone = {}
        os.kill(os.getpid(), signal.SIGTERM)
        await stop.wait()
        assert await readyz(address) == (503, "service: is stopping\n")
        order.append("drained")

    await service.run("gateway", "r1", config(port), wire, connect=connect, health=health)

    assert order == ["/gateway/r1", "drained", "unwired", "bus closed"]


async def test_a_sigterm_while_it_is_still_starting_ends_it() -> None:
    order: list[str] = []

    @asynccontextmanager
    async def connect(_: str) -> AsyncIterator[Bus]:
        yield Bus()
        order.append("bus closed")

    @asynccontextmanager
    async def wire(*_: object) -> AsyncIterator[Mapping[str, Worker]]:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()
        yield {}

    await service.run("gateway", "r1", config(), wire, connect=connect, health=Health())

    assert order == ["bus closed"]


@pytest.mark.parametrize(
    ("text", "environment", "told"),
    [
        ("brokr: {}\nlog: 3\n", {}, ["brokr: unknown key", "log: must be", "syncs: is missing"]),
        ("syncs: [{name: a, git: {url: x}}]", {"AMQP_URL": ""}, ["AMQP_URL is not set"]),
    ],
)
def test_a_wrong_configuration_is_told_and_nothing_starts(
    config_file: Path, text: str, environment: dict[str, str], told: list[str]
) -> None:
    config_file.write_text(text)
    with process(config_file, "print('wired')", **environment) as running:
        _, stderr = running.communicate(timeout=60)

    assert running.returncode == 2
    assert stderr.startswith("gateway does not start:\n")
    assert all(one in stderr for one in told), stderr
    assert len(stderr.splitlines()) == 1 + len(told)


async def test_without_a_broker_it_waits_says_so_and_ends_at_once_on_sigterm(
    config_file: Path,
) -> None:
    with process(config_file) as running:
        told = until(running, "started")
        address = next(one["url"] for one in told if one["event"] == "health")
        status, text = await readyz(address.removesuffix("/readyz"))
        running.send_signal(signal.SIGTERM)
        told += until(running, "stopped")

        assert running.wait(timeout=60) == 0
    assert status == 503
    assert text.startswith("broker: ")
    assert all(one["service"] == "gateway" and one["replica"] for one in told)
    assert "hunter22" not in json.dumps(told)
    assert not any("Traceback" in json.dumps(one) for one in told)


@pytest.mark.parametrize(
    ("wire", "event", "text"),
    [
        ("raise PermanentError('no hunter22 for you')", "failed", "no *** for you"),
        ("1 / 0", "crashed", "ZeroDivisionError"),
    ],
)
def test_what_goes_wrong_at_the_start_is_logged_without_secrets(
    config_file: Path, wire: str, event: str, text: str
) -> None:
    with process(config_file, wire) as running:
        (last,) = [one for one in until(running, event) if one["event"] == event]

        assert running.wait(timeout=60) == 1
    assert text in json.dumps(last)
    assert "hunter22" not in json.dumps(last)
