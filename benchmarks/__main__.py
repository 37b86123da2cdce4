"""Measures, prints a table, and writes `results.json` and `docs/benchmarks.md` anew."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from benchmarks import ahead, apply, bus, gateway, idle, landing, rest, syncs, updates, writing
from benchmarks.row import Row, machine, table, write

GROUPS: Mapping[str, Callable[[], Awaitable[list[Row]]]] = {
    "apply": apply.measure,
    "bus": bus.measure,
    "gateway": gateway.measure,
    "idle": idle.measure,
    "land": landing.measure,
    "rest": rest.measure,
    "syncs": syncs.measure,
    "update": updates.measure,
    "update.ahead": ahead.measure,
    "write": writing.measure,
}
DOCUMENT = Path(__file__).parent.parent / "docs" / "benchmarks.md"

_TEXT = """\
# Benchmarks

Measured by `make bench` on {machine}, with the real control plane, RabbitMQ, git
server and registry of the sandbox on the same machine. Each value is a median (of 20; of 5 where
1,000 objects are applied; 5,000 are applied once). The floor is the bare work without Flux,
measured in the same run; the bar is what the value must reach. Groups of figures may come from
different runs.

{table}
"""


async def main() -> int:
    """Run the groups that are asked for; exit code 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", default="", help="prefix of the groups to run")
    only = parser.parse_args().only
    rows: list[Row] = []
    for name, measure in GROUPS.items():
        if name.startswith(only.partition(".")[0]):
            print(f"measuring {name}", file=sys.stderr)
            rows += [row for row in await measure() if row.name.startswith(only)]
    print(table(rows))
    DOCUMENT.write_text(_TEXT.format(machine=machine(), table=table(write(rows))))
    return 0 if all(row.ok for row in rows) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
