"""Runs the emulator: ``python -m sandbox.emulator --dir DIR`` until SIGTERM."""

import argparse
import asyncio
import json
import os
import secrets
import signal
import sys
from pathlib import Path

from aiohttp import web

from sandbox.emulator.controllers import Controllers
from sandbox.emulator.deleting import Deleter
from sandbox.emulator.http import Api
from sandbox.emulator.kinds import Kinds
from sandbox.emulator.store import Store
from sandbox.emulator.writing import Writer

_GRACE = 0.2  # seconds that a client has to read the end of its answer


async def serve(directory: Path, port: int, *, exit_on_stdin_eof: bool) -> None:
    """Serve an empty cluster on loopback, and print where."""
    kinds, store = Kinds(), Store()
    writer = Writer(store, kinds)
    deleter = Deleter(store, writer)
    controllers = Controllers(store, kinds, writer, deleter)
    controllers.furnish()
    token = secrets.token_hex(16)
    api = Api(store, kinds, writer, deleter, token)
    stop = _stop_on_signals(exit_on_stdin_eof=exit_on_stdin_eof)
    runner = web.AppRunner(
        api.app(), access_log=None, shutdown_timeout=_GRACE, handler_cancellation=True
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        server = f"http://127.0.0.1:{runner.addresses[0][1]}"
        kubeconfig = _write_kubeconfig(directory, server, token)
        async with asyncio.TaskGroup() as group:
            following = group.create_task(controllers.run(), name="controllers")
            print(json.dumps({"server": server, "kubeconfig": str(kubeconfig)}), flush=True)
            await stop.wait()
            following.cancel()
    finally:
        await runner.cleanup()


def _stop_on_signals(*, exit_on_stdin_eof: bool) -> asyncio.Event:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def read() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            stop.set()

    if exit_on_stdin_eof:
        loop.add_reader(sys.stdin.fileno(), read)
    return stop


def _write_kubeconfig(directory: Path, server: str, token: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "kubeconfig"
    name = "emulator"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "users": [{"name": name, "user": {"token": token}}],
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(config))
    return path


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="where to write the kubeconfig")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--exit-on-stdin-eof", action="store_true", help="end with the parent")
    asked = parser.parse_args()
    asyncio.run(serve(asked.dir, asked.port, exit_on_stdin_eof=asked.exit_on_stdin_eof))


if __name__ == "__main__":
    main()
