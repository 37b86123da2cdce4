"""Patterns match the tags that their writer meant; a bad one matches none and says why."""

import pytest

from shared.images import TagPolicy


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("glob:*", ["1", "main-1"], ["latest", "LATEST"]),
        ("main-*", ["main-", "main-1"], ["Main-1", "xmain-1", "latest"]),
        ("glob:*-*-x", ["a-b-x", "_--x"], ["a-x", "a-b-xx"]),
        ("glob:ab*ba", ["abba", "ab1ba"], ["aba"]),
        ("glob:v?", [], ["v1", "v"]),
        ("glob:[ab]", [], ["a"]),
        ("glob:latest", ["latest"], ["LATEST", "1"]),
        ("latest", ["latest"], []),
        ("glob:late*", ["later"], ["latest"]),
        ("glob:", [], ["", "1"]),
        # What a registry may say, but no image can have.
        ("glob:*", ["1"], ["", "-1", "a/b", "a:b", "ä", "1.0+b", "x" * 129, "\ud800", "a\n"]),
        ("regexp:.*", ["1"], ["", "-1", "a/b", "\ud800", "1\n"]),
        ("semver:~1.0", ["1.0.9", "v1.0"], ["1.1", "1.0.9-rc.1", "latest", "main"]),
        ("regexp:^main-[0-9]+$", ["main-1"], ["main-1a"]),
        ("regex:ain", ["main-1"], ["other"]),
        ("regexp:.*", ["1"], ["latest", "Latest"]),
        ("regexp:latest", ["latest-1"], ["latest"]),
    ],
)
def test_a_pattern_matches(pattern: str, matching: list[str], other: list[str]) -> None:
    policy = TagPolicy.parse(pattern)
    assert policy.valid
    assert [tag for tag in matching + other if policy.matches(tag)] == matching


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("semver:1.x.", "is no range of versions"),
        ("semver:", "is no range of versions"),
        ("regexp:(", "missing )"),
        ("regexp:\ud800", "it is no text"),
        ("semver:\ud800", "it is no text"),
        ("glob:\ud800", "it is no text"),
        ("regexp:(?=x)", "invalid perl operator"),
    ],
)
def test_an_invalid_pattern_matches_nothing_and_says_why(pattern: str, why: str) -> None:
    policy = TagPolicy.parse(pattern)
    assert not any(policy.matches(tag) for tag in ["", "1.0", "latest", "x"])
    assert policy.problem
    assert policy.problem.startswith(pattern.rstrip("\ud800"))
    assert why in policy.problem


def test_patterns_are_equal_by_what_they_say() -> None:
    assert TagPolicy.parse("regex:a") == TagPolicy.parse("regexp:a")
    assert TagPolicy.parse("main-*") == TagPolicy.parse("glob:main-*")
    assert str(TagPolicy.parse("regex:a")) == "regexp:a"


def test_a_pattern_that_would_backtrack_ends() -> None:
    assert not TagPolicy.parse("regexp:^(a+)+$").matches("a" * 5_000 + "!")
    assert not TagPolicy.parse("glob:" + "*a" * 60).matches("a" * 59)


def test_of_a_long_invalid_pattern_only_the_beginning_is_told() -> None:
    problem = TagPolicy.parse("regexp:" + "(" * 10_000).problem
    assert problem
    assert len(problem) < 1_000
