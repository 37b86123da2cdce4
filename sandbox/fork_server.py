"""
Starts one service many times, fast: its modules are imported once, and each start is a fork.

What runs is what its command runs, in a process of its own, but for the half second of work that
importing takes. `python -m sandbox.fork_server MODULE` is the server: it reads a request a line and
answers with a line for each start and each end.
"""

import asyncio
import gc
import importlib
import json
import os
import select
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

from sandbox.process import Child, end_with, running


class Forked:
    """A process that a server has forked for us; of the shape that `Child` expects."""

    stdin = None
    stdout = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = asyncio.Event()

    async def wait(self) -> int:
        """Wait for its end, and say how it ended."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def ended(self, code: int) -> None:
        """Take in how it ended."""
        self.returncode = code
        self._ended.set()


class ForkServer:
    """Starts one service; open it with `fork_server`."""

    def __init__(self, server: Child) -> None:
        self._server = server
        self._started: asyncio.Queue[Forked] = asyncio.Queue()
        self._forked: dict[int, Forked] = {}
        self._one = asyncio.Lock()

    async def start(
        self, name: str, arguments: Sequence[object], *, log: Path, env: Mapping[str, str]
    ) -> Child:
        """Start it with *arguments* and the environment *env*; its output is added to *log*."""
        log.parent.mkdir(parents=True, exist_ok=True)
        request = {"arguments": list(map(str, arguments)), "log": str(log), "env": dict(env)}
        async with self._one:
            await self._server.write_line(json.dumps(request))
            forked = await self._started.get()
        return Child(name, forked, log)

    async def follow(self) -> None:
        """Take in what the server says, until its end."""
        while line := await self._server.read_line():
            said = json.loads(line)
            if "code" in said:
                self._forked.pop(said["pid"]).ended(said["code"])
            else:
                forked = self._forked[said["pid"]] = Forked(said["pid"])
                self._started.put_nowait(forked)  # itself: it may end before it is looked for


@asynccontextmanager
async def fork_server(module: str, *, log: Path) -> AsyncIterator[ForkServer]:
    """Run a server of *module*, whose `main` is the service, for the length of the block."""
    argv = [sys.executable, "-m", "sandbox.fork_server", module]
    async with running(f"fork server of {module}", argv, log=log, piped=True) as child:
        await child.first_line(timeout=60)
        server = ForkServer(child)
        following = asyncio.create_task(server.follow(), name=child.name)
        try:
            yield server
        finally:
            following.cancel()


def serve(module: str) -> None:
    """Import *module*, then fork for each request, until the requests end."""
    service: Callable[[], None] = importlib.import_module(module).main
    gc.freeze()
    waking, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    _say({"serves": module})
    while True:
        ready, _, _ = select.select([sys.stdin.fileno(), waking], [], [])
        if waking in ready:
            os.read(waking, 1024)
            _reap()
        if sys.stdin.fileno() in ready:
            line = sys.stdin.readline()  # one at a time: who asks waits for the answer
            if not line:
                return
            _fork(service, json.loads(line))


def _fork(service: Callable[[], None], request: Mapping[str, Any]) -> None:
    server = os.getpid()
    pid = os.fork()
    if pid:
        _say({"pid": pid})
        return
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    end_with(server)()
    _run(service, request)


def _run(service: Callable[[], None], request: Mapping[str, Any]) -> NoReturn:
    """Become the service: its output, environment, arguments and exit code."""
    output = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = [service.__module__, *request["arguments"]]
    code: object = 1
    try:
        service()
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - here is the end of the process, which tells it
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        os._exit(code if isinstance(code, int) else 1)


def _reap() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        _say({"pid": pid, "code": os.waitstatus_to_exitcode(status)})


def _say(what: Mapping[str, object]) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
