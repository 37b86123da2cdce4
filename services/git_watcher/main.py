"""Wires git-watcher together. The only module here that knows every other one."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

import structlog

from services.git_watcher import handlers
from services.git_watcher.branch import Branch
from services.git_watcher.generating import Generating
from services.git_watcher.settings import Settings
from shared.bundle.sealing import REMEDY
from shared.bus.port import Bus, Worker
from shared.config.model import Config
from shared.contract import Draft, PollRequested
from shared.git import transport
from shared.git.identity import directory_name
from shared.git.mirror import HOSTS, Mirror
from shared.rendering.client import HttpRenderer
from shared.rendering.generators import Generators
from shared.runtime import service
from shared.runtime.health import Health
from shared.runtime.ticker import ticker

logger = structlog.get_logger(__name__)


@asynccontextmanager
async def wire(config: Config, bus: Bus, _health: Health) -> AsyncIterator[Mapping[str, Worker]]:
    """Yield the workers of git-watcher."""
    settings = Settings.of(config)
    for target in settings.unsealed:
        logger.warning("Secrets travel as they lie in git", target=target, remedy=REMEDY)
    transport.configure(settings.state_dir / "home", (sync.git for sync in config.syncs))
    renderer = HttpRenderer(settings.renderer)
    branches = {}
    for name, one in settings.repositories.items():
        mirror = await Mirror.open(settings.state_dir / directory_name(name), one.git)
        generating = Generating(Generators(mirror, renderer))
        branches[name] = Branch(name, mirror, one.syncs, generating)
    due = [
        (Draft(message=PollRequested(repository=name)), one.poll_interval)
        for name, one in settings.repositories.items()
    ]
    on_group = partial(handlers.on_group, branches=branches, bus=bus)
    # A host that doesn't answer holds a place: as many as `shared.git.mirror` has threads.
    consume = bus.worker("git-watcher", on_group, parallel=HOSTS)
    yield {"consume": consume, "tick": ticker(bus, lambda: due)}


def main() -> None:
    """Run git-watcher until it is told to stop."""
    service.main("git-watcher", wire)
