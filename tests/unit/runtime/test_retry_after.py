"""What servers say of when to ask them again is understood in all forms, and believed in bounds."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from shared.runtime.retry_after import retry_after


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0),
        ("17", 17),
        ("86400", 600),
        ("9" * 400, 600),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2165 07:28:00 GMT", 600),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("\u00b2", None),
        ("soon", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_has_a_cap(value: str, expected: float | None) -> None:
    assert retry_after(value) == expected


def test_retry_after_as_a_date_counts_from_now() -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert retry_after(then) == pytest.approx(60, abs=5)
