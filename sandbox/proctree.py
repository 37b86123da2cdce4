"""
The processes below a process, as Linux lists them in ``/proc``.

A server's own children (a session of sshd, a helper of Erlang) are in sessions of their own:
no signal to a process group reaches them.
"""

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """A process, told apart from a later one with the same number by its start."""

    pid: int
    started: int  # clock ticks since boot


def descendants(pid: int) -> set[Process]:
    """Find what *pid* has started, and what those have started, and so on."""
    by_parent: dict[int, list[Process]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        if (found := _read(int(entry.name))) is not None:
            parent, process = found
            by_parent.setdefault(parent, []).append(process)
    family: set[Process] = set()
    todo = [pid]
    while todo:
        children = by_parent.get(todo.pop(), [])
        family.update(children)
        todo.extend(child.pid for child in children)
    return family


def kill(family: set[Process]) -> None:
    """End those of *family* that still are the same processes."""
    for process in family:
        if is_alive(process):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, signal.SIGKILL)


def is_alive(process: Process) -> bool:
    """Tell whether *process* still runs; one that only waits to be reaped does not."""
    found = _read(process.pid)
    return found is not None and found[1] == process


def _read(pid: int) -> tuple[int, Process] | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name stands in parentheses and may hold anything, parentheses too.
    fields = stat.rpartition(")")[2].split()
    state, parent, started = fields[0], int(fields[1]), int(fields[19])
    return None if state in "ZX" else (parent, Process(pid=pid, started=started))
