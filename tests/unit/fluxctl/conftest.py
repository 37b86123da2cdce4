"""A gateway of our own for each test of fluxctl."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.fluxctl.gateway import Gateway, a_gateway


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with a_gateway() as found:
        yield found
