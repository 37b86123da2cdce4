"""One figure: what was measured, the floor beside it, and the bar that it must reach."""

import json
import os
import platform
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).parent / "results.json"

TIMES = 20
"""Turns of which a median is taken ..."""
LARGE = 5
"""... and for the large figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A figure. *bar* is in the same unit; *ok* says whether *value* reaches it."""

    name: str
    value: float
    unit: str
    floor: float | None
    bar: float
    ok: bool


def at_most(name: str, value: float, unit: str, *, bar: float, floor: float | None = None) -> Row:
    """Return a figure that must not be above *bar*."""
    return Row(name=name, value=value, unit=unit, floor=floor, bar=bar, ok=value <= bar)


def at_least(name: str, value: float, unit: str, *, bar: float, floor: float | None = None) -> Row:
    """Return a figure that must not be below *bar*."""
    return Row(name=name, value=value, unit=unit, floor=floor, bar=bar, ok=value >= bar)


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """Return the seconds that *work* takes."""
    begin = time.perf_counter()
    await work()
    return time.perf_counter() - begin


def median(values: Iterable[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def table(rows: Iterable[Row]) -> str:
    """Return the figures as a Markdown table."""
    lines = [
        "| figure | value | bar | floor | unit | ok |",
        "|---|---:|---:|---:|---|---|",
    ]
    for row in rows:
        floor = "" if row.floor is None else f"{row.floor:.3g}"
        ok = "yes" if row.ok else "**no**"
        lines.append(
            f"| {row.name} | {row.value:.3g} | {row.bar:.3g} | {floor} | {row.unit} | {ok} |"
        )
    return "\n".join(lines)


def machine() -> str:
    """Say on what the figures were measured."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}"


def write(rows: Iterable[Row]) -> list[Row]:
    """Put the figures into `results.json`; those measured earlier stay. Return all."""
    known = {}
    if RESULTS.exists():
        known = {row["name"]: row for row in json.loads(RESULTS.read_text())}
    known |= {row.name: asdict(row) for row in rows}
    RESULTS.write_text(json.dumps(list(known.values()), indent=2) + "\n")
    return [Row(**one) for one in known.values()]
