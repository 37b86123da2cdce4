"""What takes minutes to build is built once, into the cache folder, however many ask at a time."""

import asyncio
import fcntl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from sandbox.process import Child
from sandbox.progress import Say

_TELL_EVERY = 5.0  # seconds


async def tell_until_done(
    what: str, compiler: Child, doing: Callable[[Child], str], *, say: Say
) -> None:
    """Wait for *compiler*, and say now and then how far it is with *what*."""
    started = time.monotonic()
    done = asyncio.ensure_future(compiler.wait())
    while not (await asyncio.wait({done}, timeout=_TELL_EVERY))[0]:
        say(f"building {what}: {time.monotonic() - started:.0f} s, {doing(compiler)}")
    say(f"built {what} in {time.monotonic() - started:.0f} s")


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
