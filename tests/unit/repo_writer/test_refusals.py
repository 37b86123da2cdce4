"""A refusal is remembered for as long as the same would be refused, and not for ever."""

import asyncio

import pytest

from services.repo_writer.refusals import PATIENCE, Refusals
from tests.unit.repo_writer.given import REPOSITORY, found

pytestmark = [pytest.mark.asyncio(loop_scope="function"), pytest.mark.looptime]


async def test_a_refusal_counts_for_the_same_updates_on_the_same_head_and_for_a_while() -> None:
    refusals = Refusals()
    refusals.add(REPOSITORY, "a", [found()], "no")
    assert refusals.reason(REPOSITORY, "a", [found()]) == "no"
    assert refusals.reason(REPOSITORY, "b", [found()]) == ""
    assert refusals.reason("other#main", "a", [found()]) == ""
    assert refusals.reason(REPOSITORY, "a", [found("1.2.0")]) == ""

    await asyncio.sleep(PATIENCE + 1)
    assert refusals.reason(REPOSITORY, "a", [found()]) == ""
