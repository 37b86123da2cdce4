"""What a module's tests share, a cluster or a git host, and a place of its own for each of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox.cluster import Cluster, cluster
from sandbox.git_server import GitServer, git_server
from sandbox.progress import silent
from tests.integration.applier_stage import Stage, staged
from tests.integration.git_place import Place, git_host_of_its_own
from tests.integration.writer_world import World, writer_world


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


@pytest.fixture(scope="module")
async def git(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GitServer]:
    """A git host for each module."""
    async with git_server(tmp_path_factory.mktemp("git"), say=silent) as found:
        yield found


@pytest.fixture
async def world(
    request: pytest.FixtureRequest, git: GitServer, tmp_path: Path
) -> AsyncIterator[World]:
    """A repository that writers come to by HTTP, or by the doors that `BY_BOTH_DOORS` asks for."""
    async with writer_world(git, tmp_path, getattr(request, "param", "http")) as found:
        yield found


@pytest.fixture
async def git_place(tmp_path: Path) -> AsyncIterator[Place]:
    """A git host for each test."""
    async with git_host_of_its_own(tmp_path) as found:
        yield found
