"""`python -m services` runs all stages in one terminal, and ends them together."""

import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from sandbox.everything import Everything
from sandbox.installation import SERVICES, Installation, one_sync
from sandbox.process import Child
from sandbox.proctree import descendants, is_alive
from sandbox.virtual_host import virtual_host
from sandbox.working_copy import WorkingCopy

pytestmark = [pytest.mark.e2e, pytest.mark.rabbit, pytest.mark.cluster, pytest.mark.timeout(120)]


@pytest.fixture
async def terminal(place: Everything, tmp_path: Path) -> AsyncIterator[Child]:
    """All services as children of one process, ready."""
    name = f"e2e-{uuid4().hex[:6]}"
    repository = await place.git.create(name)
    copy = await WorkingCopy.clone(repository, tmp_path / "copy")
    await copy.commit_and_push("Begin", {"README.md": "nothing yet\n"})
    async with virtual_host(place.broker) as url:
        config = one_sync(repository, place.git.username)
        flux = Installation(tmp_path / "flux", place, url, config, namespace=f"{name}-flux")
        await flux.configure()
        child = await Child.start(
            "services",
            [sys.executable, "-m", "services", "--config", flux.config_file],
            log=tmp_path / "services.log",
            env=flux.env,
        )
        flux.children = dict.fromkeys(SERVICES, child)
        for service in SERVICES:
            await flux.wait_ready(service)
        yield child
        await child.kill()


async def test_sigterm_ends_all_of_them_well(terminal: Child) -> None:
    family = descendants(terminal.pid)
    assert len(family) >= len(SERVICES)
    await terminal.stop(grace=60)

    assert terminal.returncode == 0, str(terminal)
    assert not any(is_alive(one) for one in family)
    for service in SERVICES:
        assert service in terminal.log.read_text()


async def test_if_one_dies_all_end_and_the_exit_code_says_so(terminal: Child) -> None:
    victim = min(descendants(terminal.pid), key=lambda one: one.pid)
    os.kill(victim.pid, signal.SIGKILL)
    assert await terminal.wait() == 1
