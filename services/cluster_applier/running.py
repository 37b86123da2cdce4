"""Runs a program from its input to its output, and ends it with all that it has started."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

LARGEST = 16 * 1024 * 1024
"""Bytes that it may say; the rest is cut off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a program said until it ended."""

    code: int
    """Its exit code."""
    output: bytes
    errors: str


async def run(
    argv: Sequence[str], *, environment: Mapping[str, str], data: bytes = b"", folder: str = "/"
) -> Said:
    """
    Return what a program says; where we are cancelled, it is ended.

    Raises:
        OSError: it can't be started.
    """
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        cwd=folder,
        start_new_session=True,
    )
    try:
        return await _answered(process, data)
    finally:
        await _ended(process)


async def _answered(process: asyncio.subprocess.Process, data: bytes) -> Said:
    assert process.stdin, "it has pipes"
    assert process.stdout, "same"
    assert process.stderr, "same"
    async with asyncio.TaskGroup() as group:
        group.create_task(_written(process.stdin, data))
        output = group.create_task(_all(process.stdout))
        errors = group.create_task(_all(process.stderr))
    code = await process.wait()
    return Said(code=code, output=output.result(), errors=errors.result().decode(errors="replace"))


async def _written(stdin: asyncio.StreamWriter, data: bytes) -> None:
    with suppress(ConnectionError):  # it may end before it has read all
        stdin.write(data)
        await stdin.drain()
    stdin.close()


async def _all(stream: asyncio.StreamReader) -> bytes:
    """Return all that comes, up to what is too much."""
    found = bytearray()
    while some := await stream.read(65_536):
        if len(found) <= LARGEST:
            found += some
    return bytes(found)


async def _ended(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.returncode is None:
        await process.wait()
