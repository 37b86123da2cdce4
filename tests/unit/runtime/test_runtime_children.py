"""Several processes in one terminal: they start together, end together, and none is left over."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest

from services.__main__ import SERVICES
from shared.contract.registry import SERVICES as KNOWN
from shared.runtime.terminal import Terminal

ROOT = Path(__file__).parents[3]

PROGRAM = """
import asyncio, sys
from shared.runtime.children import run_all
from services.__main__ import SERVICES
from shared.contract.registry import SERVICES as KNOWN
from shared.runtime.terminal import Terminal

programs = {programs!r}
commands = {{name: (sys.executable, "-u", "-c", text) for name, text in programs.items()}}
terminal = Terminal(sys.stdout.buffer, tuple(commands))
sys.exit(asyncio.run(run_all(commands, terminal, grace={grace}, environment={{"ADDED": "1"}})))
"""

WAITS = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
print("pid", os.getpid(), os.environ["ADDED"], flush=True)
signal.sigwait({signal.SIGTERM})
print("stopping", flush=True)
"""
DEAF = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("pid", os.getpid(), flush=True)
while True: signal.pause()
"""


class Running:
    """The parent, and the process ids that its children have told."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self.pids: dict[str, int] = {}

    def until_all_told(self, count: int) -> None:
        assert self.process.stdout is not None
        while len(self.pids) < count:
            line = self.process.stdout.readline()
            assert line, self.lines
            self.lines.append(line)
            if "| pid " in line:
                self.pids[line.split()[0]] = int(line.split()[3])

    def end(self) -> tuple[int, list[str]]:
        rest, _ = self.process.communicate(timeout=60)
        self.lines += rest.splitlines(keepends=True)
        return self.process.returncode, [line.rstrip("\n") for line in self.lines]


@contextmanager
def started(programs: dict[str, str], grace: float = 20.0) -> Iterator[Running]:
    program = PROGRAM.format(programs=programs, grace=grace)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        running = Running(process)
        try:
            yield running
        finally:
            process.kill()


def is_gone(pid: int) -> bool:
    try:
        return "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True


def assert_gone(running: Running) -> None:
    deadline = time.monotonic() + 10
    while not all(map(is_gone, running.pids.values())):
        assert time.monotonic() < deadline, running.pids
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_all_the_last_first_and_is_no_failure(number: int) -> None:
    with started({"first": WAITS, "second": WAITS}) as running:
        running.until_all_told(2)
        running.process.send_signal(number)
        code, lines = running.end()

    assert code == 0
    assert [line for line in lines if "stopping" in line] == [
        "second   | stopping",
        "first    | stopping",
    ]
    assert_gone(running)


def test_if_one_dies_all_stop_and_the_exit_code_is_1() -> None:
    with started({"first": WAITS, "second": WAITS}) as running:
        running.until_all_told(2)
        os.kill(running.pids["second"], signal.SIGKILL)
        code, lines = running.end()

    assert code == 1
    assert "services | second was ended by SIGKILL; stopping the others" in lines
    assert "first    | stopping" in lines
    assert_gone(running)


def test_one_that_ends_well_but_unasked_is_a_failure_too() -> None:
    with started({"first": WAITS, "second": "print('done', end='')"}) as running:
        code, lines = running.end()

    assert code == 1
    assert "second   | done" in lines
    assert "services | second ended with exit code 0; stopping the others" in lines


def test_one_that_is_deaf_is_killed_after_its_grace() -> None:
    with started({"first": DEAF, "second": WAITS}, grace=-4.9) as running:
        running.until_all_told(2)
        running.process.terminate()
        code, lines = running.end()

    assert code == 1
    assert any("first did not end within 0.1 s, and is killed" in line for line in lines)
    assert_gone(running)


def test_children_die_with_their_parent() -> None:
    with started({"first": WAITS, "second": DEAF}) as running:
        running.until_all_told(2)
        running.process.kill()
        running.process.wait()

        assert_gone(running)


def test_what_a_child_leaves_behind_does_not_hold_up_the_end() -> None:
    leaves = "import subprocess, sys; subprocess.Popen(['sleep', '20'])" + WAITS
    with started({"first": leaves}) as running:
        running.until_all_told(1)
        running.process.terminate()
        before = time.monotonic()
        code, _ = running.end()

    assert code == 0
    assert time.monotonic() - before < 15


def test_whole_lines_are_written_without_colour_where_nobody_looks_on() -> None:
    stream = BytesIO()
    terminal = Terminal(stream, ("a", "long-name"))

    terminal.write("a", b"one")
    terminal.say("two")

    assert stream.getvalue() == b"a         | one\nservices  | two\n"
    assert terminal.environment() == {}


def services(config: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services", "--config", str(config)],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_mistakes_are_told_once_before_anything_is_started(tmp_path: Path) -> None:
    config = tmp_path / "flux.yaml"
    config.write_text("brokr: {}\n")

    done = services(config, AMQP_URL="amqp://127.0.0.1")

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "nothing was started:",
        f"{config}:1: syncs: is missing",
        f"{config}:1: brokr: unknown key; did you mean broker?",
    ]


def test_the_command_names_the_services_that_there_are() -> None:
    assert sorted(SERVICES) == sorted(KNOWN)
    assert all((ROOT / "services" / name.replace("-", "_")).is_dir() for name in SERVICES)
