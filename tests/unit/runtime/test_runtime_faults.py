"""Fault points do what a test arms, at the time it names, and nothing else."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from shared.runtime import faults
from shared.runtime.errors import PermanentError

ROOT = Path(__file__).parents[3]

_PROGRAM = """
import asyncio, sys
from shared.runtime import faults
async def main():
    faults.arm(sys.argv[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[2]))
    for number in range(3):
        await faults.reach("push.before")
        print(number, flush=True)
    print("end" if not await reader.read() else "data", flush=True)
asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def disarmed() -> None:
    faults.arm("")


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say nothing until the other end is gone."""
    await reader.read()
    writer.close()
    await writer.wait_closed()


async def run(text: str) -> tuple[int, str]:
    """Run a process that passes a place three times, connected to a silent server."""
    async with await asyncio.start_server(silent, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _PROGRAM, text, str(port)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_a_crash_comes_at_the_time_that_was_named() -> None:
    code, out = await run("push.before=crash@2")
    assert code == -signal.SIGKILL
    assert "\n0\n" in out
    assert "\n1\n" not in out


async def test_a_drop_breaks_connections_and_the_process_goes_on() -> None:
    code, out = await run("push.before=drop@3")
    assert code == 0
    assert out.endswith("2\nend\n")


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.looptime
async def test_a_delay_happens_once_and_other_places_are_left_alone(looptime: float) -> None:
    faults.arm("ack.before=delay:50")
    await faults.reach("ack.after")
    assert looptime == 0
    await faults.reach("ack.before")
    assert looptime == 50
    await faults.reach("ack.before")
    assert looptime == 50


@pytest.mark.parametrize("text", ["nowhere=crash", "ack.before=explode", "ack.before", "x"])
def test_what_cannot_be_armed_is_refused_with_the_places(text: str) -> None:
    with pytest.raises(PermanentError, match=r"places: ack\.after, ack\.before"):
        faults.arm(text)
