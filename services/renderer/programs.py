"""
Runs one command: for so long, printing so much, seeing next to nothing, and ended with all its kin.

Where the system lets us, it has no network and its own numbers of processes, so that none of them
outlives it; else its process group is killed, and a NetworkPolicy must cut off the network.
"""

import asyncio
import os
import signal
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from services.renderer.domain import last_lines
from shared.rendering.protocol import LARGEST_OUTPUT, Failed, Run

STDERR, CHUNKS = 4 * 1024, 8
"""Bytes of each piece of it that are kept, and pieces."""

# What one process may take; the container's own limits are for all of them. In the shell, since
# between fork and exec nothing of ours may run in a process that has threads.
_LIMITS = (
    "ulimit -c 0; ulimit -n 1024; ulimit -f 524288; ulimit -d 2097152; ulimit -t {cpu};"
    ' exec /bin/sh -c "$0"'
)
_CAGES = (
    ("unshare", "--user", "--map-current-user", "--net", "--pid", "--fork", "--kill-child"),
    ("unshare", "--net", "--pid", "--fork", "--kill-child"),
)


class CommandError(Exception):
    """A command that failed."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.reason)
        self.failed = failed


def cage() -> Sequence[str]:
    """Return what to put before a command to cut it off; empty where the system has nothing."""
    for prefix in _CAGES:
        with suppress(OSError, subprocess.SubprocessError):
            subprocess.run([*prefix, "true"], check=True, capture_output=True, timeout=10)
            return prefix
    return ()


async def output(
    number: int, run: Run, folder: Path, environment: Mapping[str, str], prefix: Sequence[str]
) -> bytes:
    """
    Return what *run* prints in *folder*; its *number* is for the error.

    Raises:
        CommandError: it fails, takes too long, or prints too much.
    """
    limits = _LIMITS.format(cpu=int(run.timeout) + 1)
    try:
        transport, kept = await asyncio.get_running_loop().subprocess_exec(
            _Kept,
            *(*prefix, "/bin/sh", "-c", limits, run.command),
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:  # an argument that is too long, no memory, no process left
        failed = Failed(number=number, reason=f"can't start: {error.strerror}")
        raise CommandError(failed) from error
    reason = await _end(transport, kept, run.timeout)
    if reason:
        stderr = last_lines(b"".join(kept.said))
        raise CommandError(Failed(number=number, reason=reason, stderr=stderr))
    return bytes(kept.printed)


class _Kept(asyncio.SubprocessProtocol):
    """
    What a command prints, as far as it is kept.

    Not asyncio's streams: their `wait` ends only when nobody holds the pipes any more, and what the
    command has left behind would hold them.
    """

    def __init__(self) -> None:
        self.printed = bytearray()
        self.said: deque[bytes] = deque(maxlen=CHUNKS)
        self.reason = ""
        self.ended = asyncio.get_running_loop().create_future()
        self._process = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport), "the loop makes these"
        self._process = transport.get_pid()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self.said.append(data[-STDERR:])
            return
        self.printed += data
        if len(self.printed) > LARGEST_OUTPUT:
            self.printed.clear()
            self.reason = f"prints more than {LARGEST_OUTPUT // 2**20} MB"
            self.kill()

    def process_exited(self) -> None:
        """End what the command has left behind."""
        self.kill()

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def kill(self) -> None:
        """End the command with all of its group."""
        with suppress(ProcessLookupError):
            os.killpg(self._process, signal.SIGKILL)


async def _end(transport: asyncio.SubprocessTransport, kept: _Kept, timeout: float) -> str:
    """Wait for the end, and return why it was none of the good ones."""
    try:
        async with asyncio.timeout(timeout):
            await kept.ended
    except TimeoutError:
        return f"no end after {timeout:g} s; raise its timeout in .flux.yaml"
    finally:
        kept.kill()
        transport.close()
    return kept.reason or _status(transport.get_returncode())


def _status(code: int | None) -> str:
    if code == 0:
        return ""
    if code is None or code < 0:
        name = signal.Signals(-code).name if code else "an unknown signal"
        return f"was ended by {name}"
    return f"ended with {code}"
