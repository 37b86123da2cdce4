"""Wires cluster-applier together. The only module here that knows every other one."""

import platform
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from secrets import token_hex

from services.cluster_applier import handlers
from services.cluster_applier.bursts import BURSTS
from services.cluster_applier.domain.drift import Drift
from services.cluster_applier.lease import Work
from services.cluster_applier.removing import Removing
from services.cluster_applier.settings import Settings
from services.cluster_applier.sync import Sync
from services.cluster_applier.target import Target, target
from shared.bus.port import Bus, Worker
from shared.config.model import Config
from shared.contract import Draft, SyncRequested
from shared.runtime import service
from shared.runtime.health import Health
from shared.runtime.ticker import ticker


@asynccontextmanager
async def wire(config: Config, bus: Bus, _health: Health) -> AsyncIterator[Mapping[str, Worker]]:
    """Yield the workers of cluster-applier."""
    settings = Settings.of(config)
    syncs: dict[str, Sync] = {}
    identity = f"{platform.node()}-{token_hex(4)}"

    def drift(sync: str, name: str, what: Drift) -> None:
        syncs[sync].drifting.see(name, what)

    def removing(one: Target) -> Work:
        return Removing(one, settings.file).run

    due = [(Draft(message=SyncRequested(sync=one.name)), one.interval) for one in settings.syncs]
    async with AsyncExitStack() as stack:
        targets: dict[str, Target] = {}
        workers: dict[str, Worker] = {}
        for each in settings.targets:
            opening = target(each, bus, identity, drift=drift, more=removing)
            targets[each.name], more = await stack.enter_async_context(opening)
            workers |= more
        for one in settings.syncs:
            syncs[one.name] = Sync(one, targets[one.target], bus, syncs)
        on_group = partial(handlers.on_group, syncs=syncs, bus=bus)
        # Each target has places of its own, so that none takes those of another.
        at_once = max(len(syncs), 1)
        workers |= {
            "consume": bus.worker("cluster-applier", on_group, window=BURSTS, parallel=at_once),
            "tick": ticker(bus, lambda: due),
        }
        workers |= {f"drift {name}": one.drifting.run for name, one in syncs.items()}
        workers |= {f"wait {name}": one.waiting.run for name, one in syncs.items()}
        yield workers


def main() -> None:
    """Run cluster-applier until it is told to stop."""
    service.main("cluster-applier", wire)
