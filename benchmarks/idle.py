"""At rest: memory and processor of all five services with 1,000 objects."""

import asyncio
import os
import re
from pathlib import Path

from benchmarks.place import a_world, apps
from benchmarks.row import Row, at_most
from sandbox.world import World

REST = 60.0
"""Seconds after the last sync before anything is measured, and that it is measured for."""


async def measure() -> list[Row]:
    """Measure a minute after the last sync, for a minute."""
    async with a_world("bench") as world:
        await world.push("Add all apps", apps(world.namespace))
        await world.kube.wait("ConfigMap", "app-249", bool, namespace=world.namespace)
        await asyncio.sleep(REST)
        before = _cpu(world)
        await asyncio.sleep(REST)
        share = (_cpu(world) - before) / REST * 100
        memory = {name: _pss(child.pid) for name, child in world.flux.children.items()}
    rows = [
        at_most(f"idle.pss.{name}", size, "MiB", bar=350) for name, size in sorted(memory.items())
    ]
    return [
        at_most("idle.pss", sum(memory.values()), "MiB", bar=350),
        *rows,
        at_most("idle.cpu", share, "% of a core", bar=2),
    ]


def _pss(pid: int) -> float:
    """Return the proportional set size of a process, in MiB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.findall(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)[0]) / 1024


def _cpu(world: World) -> float:
    """Return the processor seconds that all services have used so far."""
    tick = os.sysconf("SC_CLK_TCK")
    total = 0
    for child in world.flux.children.values():
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / tick
