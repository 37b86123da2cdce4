"""One sandbox for all fault tests, on the real control plane; a Flux for each of them."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from sandbox.everything import Everything, everything
from sandbox.progress import silent
from sandbox.world import World
from sandbox.world import world as a_world


@pytest.fixture(scope="session")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Everything]:
    async with everything(tmp_path_factory.mktemp("place"), cluster="real", say=silent) as found:
        yield found


@pytest.fixture
async def world(place: Everything, tmp_path: Path) -> AsyncIterator[World]:
    """What nobody was told is found by a scan or a poll within seconds, not minutes."""
    name = f"chaos-{uuid4().hex[:6]}"
    automation = {"interval": "3s"}
    async with a_world(place, tmp_path, name, automation=automation) as found:
        yield found
