"""What is counted in a run of faults: a line a round, and the page of the last long run."""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
_MARK = "<!-- the last long run -->"


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was done and what was seen, over all rounds of all worlds."""

    rounds: int = 0
    crashes: int = 0
    freezes: int = 0
    stops: int = 0
    updates: int = 0
    lost: int = 0
    doubled: int = 0
    downgrades: int = 0
    wrong_deletes: int = 0
    longest_stall: float = 0.0
    stalled_in: str = ""
    by_point: Counter[str] = field(default_factory=Counter)

    def stalled(self, seconds: float, where: str) -> None:
        """Note how long it took until all was well, since people had done their last."""
        if seconds > self.longest_stall:
            self.longest_stall, self.stalled_in = seconds, where

    def line(self, wanted: int) -> str:
        """Return how far a run is."""
        return (
            f"round {self.rounds}: {self.crashes} of {wanted} crashes, {self.freezes} freezes, "
            f"{self.updates} updates, "
            f"longest stall {self.longest_stall:.1f} s in {self.stalled_in}"
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
        "stops in good order": tally.stops,
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
