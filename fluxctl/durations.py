"""Durations as people type them: `30s`, `1m30s`."""

import os
import re
from argparse import ArgumentTypeError

_DURATION = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def default_timeout() -> float:
    """Return how long each wait may take where nobody says it."""
    try:
        return seconds(os.environ.get("FLUX_TIMEOUT", "60s"))
    except ArgumentTypeError:
        return 60.0


def seconds(text: str) -> float:
    """Return the seconds of a duration as Go writes them."""
    if text == "0":
        return 0.0
    if not re.fullmatch(f"(?:{_DURATION.pattern})+", text):
        raise ArgumentTypeError(f"{text!r} is no duration; write 30s or 2m")
    return sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))
