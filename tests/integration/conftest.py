"""The cluster that cluster-applier's tests share, and a stage of their own for each of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox.cluster import Cluster, cluster
from sandbox.progress import silent
from tests.integration.applier_stage import Stage, staged


@pytest.fixture(scope="module")
async def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cluster]:
    """A cluster for each module: the real control plane, or those that `ON_BOTH` asks for."""
    kind = getattr(request, "param", "real")
    async with cluster(tmp_path_factory.mktemp("cluster"), kind, say=silent) as found:
        yield found


@pytest.fixture
async def stage(place: Cluster, tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(place, tmp_path) as found:
        yield found
