"""Durations as Go writes them (`5m`, `100ms`, `1h30m`); seconds as floats in the code."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = r"\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h)"


def seconds(text: Any) -> Any:
    """Return the seconds that *text* says; a number passes only where it is a default's."""
    if isinstance(text, float) or text == 0:
        return float(text)
    if not isinstance(text, str) or not re.fullmatch(f"(?:{_PART})+", text):
        raise ValueError(f"{text!r} is no duration; write 300ms, 20s, 5m or 1h30m")
    parts = re.findall(r"(\d+(?:\.\d+)?)([a-zµ]+)", text)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


Duration = Annotated[
    float,
    BeforeValidator(seconds),
    Field(ge=0),
    PlainSerializer(lambda value: f"{value:g}s", when_used="json"),
    WithJsonSchema({"type": "string", "pattern": f"^(?:0|(?:{_PART})+)$", "examples": ["5m"]}),
]
