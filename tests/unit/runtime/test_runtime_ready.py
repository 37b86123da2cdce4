"""The command that health checks run tells readiness by its exit code, and prints the reason."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from urllib.parse import urlsplit

from shared.runtime.health import Health


async def ready(*arguments: str) -> tuple[int | None, str]:
    argv = [sys.executable, "-m", "shared.runtime.ready", *arguments]
    process = await asyncio.create_subprocess_exec(*argv, stdout=PIPE, stderr=PIPE)
    out, _ = await process.communicate()
    return process.returncode, out.decode()


async def test_it_says_what_readyz_says() -> None:
    problems: dict[str, str] = {}
    health = Health()
    health.source(lambda: problems)
    async with health.serving("127.0.0.1", 0) as address:
        port = str(urlsplit(address).port)
        assert await ready(port) == (0, "ok\n")
        problems["broker"] = "connection lost"
        assert await ready(port) == (1, "broker: connection lost\n")


async def test_a_service_that_does_not_answer_is_not_ready() -> None:
    code, said = await ready("1")
    assert code == 1
    assert said.startswith("nothing answers on 127.0.0.1:1: ")


async def test_anything_but_a_port_is_a_mistake() -> None:
    assert await ready() == (2, "")
    assert await ready("http://127.0.0.1") == (2, "")
