"""What a server says of when it wants to be asked again."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST = 600.0
"""Seconds that it is believed at most."""


def retry_after(value: str) -> float | None:
    """Return the seconds of a `Retry-After`, a number or a date, capped; None where it is none."""
    if value.isascii() and value.isdigit():
        return min(float(value), LONGEST)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST)
