"""Wires repo-writer together. The only module here that knows every other one."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

from services.repo_writer import handlers
from services.repo_writer.git_repo import GitRepo
from services.repo_writer.refusals import Refusals
from services.repo_writer.registry import ScannerRegistry
from services.repo_writer.settings import Settings
from shared.bus.port import Bus, Worker
from shared.config.model import Config
from shared.git import transport
from shared.git.identity import directory_name
from shared.git.mirror import HOSTS
from shared.rendering.client import HttpRenderer
from shared.runtime import service
from shared.runtime.health import Health


@asynccontextmanager
async def wire(config: Config, bus: Bus, _health: Health) -> AsyncIterator[Mapping[str, Worker]]:
    """Yield the workers of repo-writer."""
    settings = Settings.of(config)
    transport.configure(settings.state_dir / "home", (sync.git for sync in config.syncs))
    renderer = HttpRenderer(settings.renderer)
    repos = {
        name: await GitRepo.open(settings.state_dir / directory_name(name), repository, renderer)
        for name, repository in settings.repositories.items()
    }
    on_group = partial(
        handlers.on_group, repos=repos, registry=ScannerRegistry(bus), refusals=Refusals()
    )
    # A host that doesn't answer holds a place: as many as `shared.git.mirror` has threads.
    consume = bus.worker("repo-writer", on_group, window=settings.window, parallel=HOSTS)
    yield {"consume": consume}


def main() -> None:
    """Run repo-writer until it is told to stop."""
    service.main("repo-writer", wire)
