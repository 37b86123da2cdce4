"""
Several programs as child processes: if one ends, all are stopped, and none outlives us.

It knows them by their commands only. `terminal` shows what they write.
"""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Self

from shared.runtime import lifecycle
from shared.runtime.terminal import Terminal

TURN = 1.0
"""Seconds that one has for stopping before the next is told to stop as well."""
MARGIN = 5.0
"""Seconds beyond their grace after which children are killed."""

LAST_LINES = 1.0
"""Seconds for what stopped children have written to arrive."""

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


async def run_all(
    commands: Mapping[str, Sequence[str]],
    terminal: Terminal,
    *,
    grace: float,
    environment: Mapping[str, str],
) -> int:
    """
    Start *commands* in order and run them until a signal comes; then stop them, the last first.

    Returns the exit code: 0 if all was well until the signal, 1 if one ended by itself.
    """
    with lifecycle.stop_on_signals() as stop:
        children: list[_Child] = []
        try:
            for name, argv in commands.items():
                children.append(await _Child.start(name, argv, environment))
            return await _run(children, terminal, stop, grace)
        finally:
            for child in children:
                child.kill()


async def _run(
    children: Sequence["_Child"], terminal: Terminal, stop: asyncio.Event, grace: float
) -> int:
    async with asyncio.TaskGroup() as group:
        following = [
            group.create_task(terminal.follow(child.name, child.output), name=child.name)
            for child in children
        ]
        ending = [group.create_task(child.wait(), name=child.name) for child in children]
        stopping = group.create_task(stop.wait(), name="stop")
        await asyncio.wait([*ending, stopping], return_when=asyncio.FIRST_COMPLETED)
        asked = stop.is_set()
        if not asked:
            ended = next(child for child in children if child.code is not None)
            terminal.say(f"{ended.name} {_how(ended.code or 0)}; stopping the others")
        stopping.cancel()
        clean = await _stop(children, terminal, grace)
        # What a child started may outlive it, and hold its output open.
        _, held = await asyncio.wait(following, timeout=LAST_LINES)
        for task in held:
            task.cancel()
    return 0 if asked and clean else 1


async def _stop(children: Sequence["_Child"], terminal: Terminal, grace: float) -> bool:
    """Stop *children*, the last first; say whether each ended as it should."""
    loop = asyncio.get_running_loop()
    deadlines: list[tuple[_Child, float]] = []
    for child in reversed(children):
        child.terminate()
        # Each has its whole grace, whenever its turn comes.
        deadlines.append((child, loop.time() + grace + MARGIN))
        await child.ended(within=TURN)
    for child, deadline in deadlines:
        if not await child.ended(within=deadline - loop.time()):
            terminal.say(f"{child.name} did not end within {grace + MARGIN:g} s, and is killed")
            child.kill()
    codes = [await child.wait() for child in children]
    return all(code in {0, -signal.SIGTERM} for code in codes)


class _Child:
    """One running program, in a process group of its own: a Ctrl-C is for us alone."""

    def __init__(
        self, name: str, process: asyncio.subprocess.Process, output: asyncio.StreamReader
    ) -> None:
        self.name = name
        self.output = output
        self._process = process

    @classmethod
    async def start(cls, name: str, argv: Sequence[str], environment: Mapping[str, str]) -> Self:
        # A pipe of our own: asyncio says that a process has ended only when its pipes are closed
        # too, and what it started may hold them open.
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
                process_group=0,
                preexec_fn=_dying_with(os.getpid()),
            )
        finally:
            os.close(writing)
        return cls(name, process, await _reader(reading))

    @property
    def code(self) -> int | None:
        return self._process.returncode

    async def wait(self) -> int:
        return await self._process.wait()

    async def ended(self, *, within: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(within, 0)):
                await self._process.wait()
        return self.code is not None

    def terminate(self) -> None:
        with suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        """End it and all that it started, unless it has ended: its number may be another's now."""
        if self.code is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


async def _reader(descriptor: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb")
    )
    return reader


def _how(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _dying_with(parent: int) -> Callable[[], None] | None:
    """Return what makes a child end with us, even if we are killed; only Linux can do that."""
    if _LIBC is None:
        return None
    prctl = _LIBC.prctl

    def arrange() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # We may have died before it asked.
        if os.getppid() != parent:
            os._exit(1)

    return arrange
