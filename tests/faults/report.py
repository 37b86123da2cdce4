"""What is told of a run of faults: a line a round, and the page of the last long run."""

import os
from pathlib import Path

from tests.faults.chaos import Tally

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
_MARK = "<!-- the last long run -->"


def line(tally: Tally, wanted: int) -> str:
    """Return how far a run is."""
    return (
        f"round {tally.rounds}: {tally.crashes} of {wanted} crashes, {tally.freezes} freezes,"
        f" {tally.updates} updates, longest stall {tally.longest_stall:.1f} s"
    )


def write(tally: Tally, seed: int, seconds: float) -> None:
    """Put a long run into the document; a short one is not kept."""
    if not os.environ.get("FAULTS_REPORT"):
        return
    head = DOCUMENT.read_text().partition(_MARK)[0]
    DOCUMENT.write_text(f"{head}{_MARK}\n\n{_table(tally, seed, seconds)}")


def _table(tally: Tally, seed: int, seconds: float) -> str:
    rows = {
        "seed": seed,
        "rounds": tally.rounds,
        "crashes injected": tally.crashes,
        "freezes": tally.freezes,
        "updates made": tally.updates,
        "lost": tally.lost,
        "doubled": tally.doubled,
        "downgrades": tally.downgrades,
        "wrong deletes": tally.wrong_deletes,
        "longest stall, s": f"{tally.longest_stall:.1f}",
        "length of the run, min": f"{seconds / 60:.0f}",
    }
    points = {f"at `{point}`": count for point, count in sorted(tally.by_point.items())}
    lines = ["| figure | value |", "|---|---:|"]
    return "\n".join([*lines, *(f"| {k} | {v} |" for k, v in {**rows, **points}.items())]) + "\n"
