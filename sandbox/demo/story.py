"""Tells the demo in plain lines with times, and ends it with a table."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_BOLD, _DIM, _GREEN, _RED, _END = "\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m"


@dataclass(slots=True, kw_only=True)
class Step:
    """One row of the table at the end."""

    title: str
    happened: str = ""
    seconds: float = 0.0
    ok: bool = False


class Story:
    """What has been told so far."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._colour = sys.stdout.isatty()
        self.steps: list[Step] = []

    @property
    def ok(self) -> bool:
        """Whether every step was seen to its end."""
        return all(step.ok for step in self.steps)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Tell a step and time it; it counts as done if the block ends without an error."""
        step = Step(title=title)
        self.steps.append(step)
        print()
        self.tell(f"{len(self.steps)}. {title}", _BOLD)
        begin = time.monotonic()
        try:
            yield step
            step.ok = True
        except (TimeoutError, AssertionError) as error:
            step.happened = f"not seen: {error}"[:200]
            self.tell(step.happened, _RED)
            raise
        finally:
            step.seconds = time.monotonic() - begin

    def tell(self, line: str, colour: str = "") -> None:
        """Print one line with the seconds since the start."""
        stamp = self._paint(f"{time.monotonic() - self._start:7.2f}s", _DIM)
        print(f"{stamp}  {self._paint(line, colour)}", flush=True)

    def show(self, text: str) -> None:
        """Print what a program said, indented."""
        for line in text.rstrip().splitlines():
            colour = _diff_colour(line)
            print(f"          {self._paint(line, colour)}", flush=True)

    def table(self) -> None:
        """Print each step, what happened, and how long it took."""
        width = max(len(step.title) for step in self.steps) + 4
        print(f"\n{'STEP':<{width}}{'SECONDS':>8}  WHAT HAPPENED")
        for number, step in enumerate(self.steps, start=1):
            title = f"{number}. {step.title}"
            mark = self._paint("ok", _GREEN) if step.ok else self._paint("FAILED", _RED)
            print(f"{title:<{width}}{step.seconds:>8.2f}  {mark}: {step.happened}")

    def _paint(self, text: str, colour: str) -> str:
        return f"{colour}{text}{_END}" if self._colour and colour else text


def _diff_colour(line: str) -> str:
    if line.startswith("+") and not line.startswith("+++"):
        return _GREEN
    if line.startswith("-") and not line.startswith("---"):
        return _RED
    return ""
