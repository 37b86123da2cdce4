"""What processes use: memory and processor, as the kernel accounts for them."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from sandbox import proctree


def pss(pid: int) -> float:
    """Return the proportional set size of a process, in MiB: what it shares counts in parts."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.findall(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)[0]) / 1024


def resident(pid: int) -> float:
    """Return the resident set size of a process, in MiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"^VmRSS:\s+(\d+) kB", text, re.MULTILINE)[0]) / 1024


def cpu(pids: Iterable[int]) -> float:
    """Return the processor seconds that all of *pids* have used so far; exact to 0.01 each."""
    return sum(_ticks(pid) for pid in pids) / os.sysconf("SC_CLK_TCK")


def named(name: str) -> list[int]:
    """Return the processes of that name that we or what we started have started."""
    family = [process.pid for process in proctree.descendants(os.getpid())]
    return [pid for pid in family if Path(f"/proc/{pid}/comm").read_text().strip() == name]


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
