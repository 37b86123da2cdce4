"""A clock on the wall for one process, which a test steps back and forth; no other does."""

import platform
from collections.abc import Mapping
from pathlib import Path

from sandbox import apt
from sandbox.errors import MissingError
from sandbox.progress import Say, silent

_PACKAGE = "libfaketime"


class WallClock:
    """What processes with its environment believe the time to be."""

    def __init__(self, library: Path, file: Path) -> None:
        self._file = file
        self.step(0)
        self.env: Mapping[str, str] = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def step(self, seconds: float) -> None:
        """Be so many *seconds* ahead of the truth from now on, or behind it."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+.0f}\n")
        new.replace(self._file)  # whoever reads it meanwhile reads the whole


async def wall_clock(file: Path, *, say: Say = silent) -> WallClock:
    """
    Return a clock that lies in *file*.

    Raises:
        MissingError: libfaketime is not there, and may not be installed.
    """
    if not _library().exists():
        if not apt.is_allowed():
            raise MissingError(f"{_PACKAGE} is not installed: install it")
        await apt.install(_PACKAGE, why="steps the clock of a process", say=say)
    return WallClock(_library(), file)


def _library() -> Path:
    return Path(f"/usr/lib/{platform.machine()}-linux-gnu/faketime/libfaketime.so.1")
