"""Durations as Go writes them (`5m`, `100ms`, `1h30m`); seconds as floats in the code."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = r"\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h)"
_SHAPE = f"0|(?:{_PART})+"


def seconds(text: Any) -> Any:
    """Return the seconds that *text* says; a float passes, since that is what the code holds."""
    if isinstance(text, float):
        return text
    if isinstance(text, int) and not isinstance(text, bool) and text == 0:
        return 0.0
    if not isinstance(text, str) or not re.fullmatch(_SHAPE, text, re.ASCII):
        raise ValueError(f"{text!r} is no duration; write 300ms, 20s, 5m or 1h30m")
    parts = re.findall(r"(\d+(?:\.\d+)?)([a-zµ]+)", text, re.ASCII)
    return sum((float(number) * _UNITS[unit] for number, unit in parts), 0.0)


def go(value: float) -> str:
    """Return *value* seconds as Go writes them."""
    for unit, size in (("h", 3600.0), ("m", 60.0)):
        if value and value % size == 0:
            return f"{value / size:g}{unit}"
    return f"{value:g}s" if value >= 1 or value == 0 else f"{value * 1000:g}ms"


Duration = Annotated[
    float,
    BeforeValidator(seconds),
    Field(ge=0, allow_inf_nan=False),
    PlainSerializer(go, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": f"^(?:{_SHAPE})$", "examples": ["5m"]}),
]

Period = Annotated[Duration, Field(gt=0)]
"""A duration that must not be zero: an interval or a timeout."""
