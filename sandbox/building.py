"""What takes minutes to build is built once, into the cache folder, however many ask at a time."""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.process import Child
from sandbox.progress import Say

_TELL_EVERY = 5.0  # seconds


async def compile_(
    what: str,
    argv: Sequence[object],
    *,
    log: Path,
    env: Mapping[str, str],
    compiling: str,
    remedy: str,
    say: Say,
) -> None:
    """
    Make *what* by *argv*; its output is in *log* unless it succeeds.

    Raises:
        SandboxError: it failed; the text holds the end of the log, and the *remedy*.
    """
    _forget(log)
    # Another toolchain than the one that was found would be loaded, and compile everything anew.
    env = {**os.environ, **env, "GOTOOLCHAIN": "local"}
    compiler = await Child.start("the build", argv, log=log, env=env)
    try:
        await _tell_until_done(what, compiler, compiling, say)
    finally:
        await compiler.stop()
    if compiler.returncode != 0:
        raise SandboxError(f"{what} could not be built: {compiler}{remedy}")
    _forget(log)


async def _tell_until_done(what: str, compiler: Child, compiling: str, say: Say) -> None:
    """Wait for *compiler*, and say now and then how far it is with *what*."""
    started = time.monotonic()
    done = asyncio.ensure_future(compiler.wait())
    while not (await asyncio.wait({done}, timeout=_TELL_EVERY))[0]:
        say(f"building {what}: {time.monotonic() - started:.0f} s, {_doing(compiler, compiling)}")
    say(f"built {what} in {time.monotonic() - started:.0f} s")


def _forget(log: Path) -> None:
    log.unlink(missing_ok=True)


def _doing(compiler: Child, compiling: str) -> str:
    last = compiler.last_lines(1)
    return last if last.startswith("go: downloading") else compiling


@asynccontextmanager
async def alone(what: str, lock: Path, *, say: Say) -> AsyncIterator[None]:
    """Keep other copies from building *what* for the length of the block."""
    started, told = time.monotonic(), 0.0
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        while not _try_lock(held.fileno()):
            if (waited := time.monotonic() - started) >= told:
                say(f"another copy builds {what}: waiting for it, {waited:.0f} s")
                told = waited + _TELL_EVERY
            # A lock of the system tells no event that a loop could wait for.
            await asyncio.sleep(0.5)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
