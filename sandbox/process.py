"""
Child processes of the sandbox: each has a log file, a way to wait until it is ready, and an
end that comes at the latest with ours, even if we are killed.

It must not know what it starts. The servers' own modules build on it.
"""

import asyncio
import ctypes
import os
import signal
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol, Self

from sandbox import proctree
from sandbox.errors import SandboxError

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class Process(Protocol):
    """What we ask of asyncio's processes, and of those that `fork_server` makes."""

    @property
    def pid(self) -> int:
        """Its process id."""

    @property
    def returncode(self) -> int | None:
        """How it ended; None while it runs."""

    @property
    def stdin(self) -> asyncio.StreamWriter | None:
        """Where it reads from, if that is a pipe."""

    @property
    def stdout(self) -> asyncio.StreamReader | None:
        """Where it prints to, if that is a pipe."""

    async def wait(self) -> int:
        """Wait for its end, and say how it ended."""


class Child:
    """One running program. Start it from the main thread: it ends with the thread, too."""

    def __init__(self, name: str, process: Process, log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    @classmethod
    async def start(
        cls,
        name: str,
        argv: Sequence[object],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: int = asyncio.subprocess.DEVNULL,
        stdout: int | None = None,
    ) -> Self:
        """Start *argv*; what it prints is added to *log*, unless *stdout* is a pipe."""
        with _open_log(log) as sink:
            process = await asyncio.create_subprocess_exec(
                *map(str, argv),
                stdin=stdin,
                stdout=sink if stdout is None else stdout,
                stderr=sink,
                env=env,
                cwd=cwd,
                start_new_session=True,  # a Ctrl-C is for us alone: we stop the others in order
                preexec_fn=end_with(os.getpid()),
            )
        return cls(name, process, log)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.returncode

    async def wait(self) -> int:
        """Wait for its end, and say how it ended."""
        return await self._process.wait()

    async def first_line(self, *, timeout: float) -> str:
        """
        Wait for the line in which it says that it is ready (*stdout* must be a pipe).

        Raises:
            SandboxError: it ended, or said nothing within *timeout* seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                line = await self.read_line()
        except TimeoutError:
            raise SandboxError(f"{self.name} is not ready after {timeout:.0f} s: {self}") from None
        if not line:
            await self.wait()
            raise SandboxError(f"{self.name} did not start: {self}")
        return line.decode()

    async def read_line(self) -> bytes:
        """Read a line of what it prints (*stdout* must be a pipe); empty at its end."""
        assert self._process.stdout is not None
        return await self._process.stdout.readline()

    async def write_line(self, line: str) -> None:
        """Give it a line to read (*stdin* must be a pipe)."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        await self._process.stdin.drain()

    async def wait_until(self, ready: Callable[[], Awaitable[bool]], *, timeout: float) -> None:
        """
        Ask *ready* again and again until it agrees.

        Raises:
            SandboxError: the child ended, or *timeout* seconds are over.
        """
        deadline = time.monotonic() + timeout
        while not await ready():
            if self.returncode is not None:
                raise SandboxError(f"{self.name} did not start: {self}")
            if time.monotonic() > deadline:
                raise SandboxError(f"{self.name} is not ready after {timeout:.0f} s: {self}")
            await asyncio.sleep(0.05)

    async def stop(self, *, grace: float = 10.0) -> None:
        """Ask it to end, then make it end; also what it has started itself."""
        family = proctree.descendants(self.pid)
        signal_to(self._process, signal.SIGTERM)
        if self._process.stdin is not None:
            self._process.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self.wait()
        await self._end(family)

    async def kill(self) -> None:
        """End it as a power failure would (SIGKILL), with all that it has started itself."""
        await self._end(proctree.descendants(self.pid))

    async def _end(self, family: set[proctree.Process]) -> None:
        signal_to(self._process, signal.SIGKILL)
        proctree.kill(family)
        await self.wait()

    def __str__(self) -> str:
        """Tell its end and the last lines of its log."""
        ended = "it still runs" if self.returncode is None else f"exit code {self.returncode}"
        return f"{ended}; the end of {self.log}:\n{self.last_lines(15) or '(nothing)'}"

    def last_lines(self, count: int) -> str:
        """Read the end of its log."""
        with self.log.open(errors="replace") as lines:
            return "".join(deque(lines, maxlen=count)).rstrip()


@asynccontextmanager
async def running(
    name: str,
    argv: Sequence[object],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    grace: float = 10.0,
    piped: bool = False,
) -> AsyncIterator[Child]:
    """Run *argv* for the length of the block; *piped* to talk to it line by line."""
    if piped:
        pipe = asyncio.subprocess.PIPE
        child = await Child.start(name, argv, log=log, env=env, stdin=pipe, stdout=pipe)
    else:
        child = await Child.start(name, argv, log=log, env=env)
    try:
        yield child
    finally:
        await child.stop(grace=grace)


async def run(argv: Sequence[object], *, env: Mapping[str, str] | None = None) -> str:
    """
    Run *argv* to its end and return what it printed.

    Raises:
        SandboxError: it failed; the text holds what it said.
    """
    process = await asyncio.create_subprocess_exec(
        *map(str, argv),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=env,
    )
    out, err = await process.communicate()
    if process.returncode:
        said = err.decode(errors="replace").strip()
        raise SandboxError(f"{argv[0]} failed with exit code {process.returncode}: {said}")
    return out.decode(errors="replace")


def signal_to(process: Process, number: signal.Signals) -> None:
    """
    Send a signal, unless the process has ended.

    Its own methods look for its end first, and so can take that from the event loop, which
    then knows no exit code.
    """
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


async def greets(port: int, hello: bytes, answer: bytes) -> bool:
    """Tell whether the server on *port* of loopback replies to *hello* beginning with *answer*."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        async with asyncio.timeout(5):
            writer.write(hello)
            return await reader.readexactly(len(answer)) == answer
    except (TimeoutError, OSError, asyncio.IncompleteReadError):
        return False
    finally:
        writer.close()


def _open_log(log: Path) -> BinaryIO:
    log.parent.mkdir(parents=True, exist_ok=True)
    return log.open("ab")


def end_with(parent: int) -> Callable[[], None]:
    """Return what makes the process that calls it end with its *parent*."""

    def in_the_child() -> None:
        if _LIBC is None:
            return
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we asked to be told
            os._exit(1)

    return in_the_child
