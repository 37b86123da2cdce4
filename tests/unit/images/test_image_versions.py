"""Versions and ranges mean what they meant to Flux v1; the table was made by its library."""

import json
from pathlib import Path

import pytest

from shared.images import Constraint, InvalidConstraintError, Version

TABLE = json.loads(
    (Path(__file__).parents[2] / "testdata" / "semver" / "masterminds-3.1.1.json").read_text()
)


@pytest.mark.parametrize("text", TABLE["constraints"])
def test_a_range_admits_what_the_original_admits(text: str) -> None:
    expected = TABLE["constraints"][text]
    if not expected["valid"]:
        with pytest.raises(InvalidConstraintError):
            Constraint.parse(text)
        return
    constraint = Constraint.parse(text)
    versions = [version for one in TABLE["versions"] if (version := Version.parse(one))]
    assert [one.text for one in versions if constraint.admits(one)] == expected["admits"]


def test_versions_have_the_order_of_the_original() -> None:
    for one, other, expected in TABLE["order"]:
        first, second = Version.parse(one), Version.parse(other)
        assert first
        assert second
        assert (first.key > second.key) - (first.key < second.key) == expected, (one, other)


def test_a_range_that_would_backtrack_is_refused_at_once() -> None:
    with pytest.raises(InvalidConstraintError):
        Constraint.parse("1" * 50_000 + "!")


def test_a_number_too_long_for_a_machine_is_no_version() -> None:
    assert Version.parse("1" * 5_000) is None
    assert Version.parse("18446744073709551616") is None
