"""Wires registry-scanner together. The only module here that knows every other one."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache, partial

from services.registry_scanner import handlers
from services.registry_scanner.created_cache import CreatedCache
from services.registry_scanner.declared import Declared
from services.registry_scanner.domain.causes import Causes
from services.registry_scanner.domain.wanted import Wanted
from services.registry_scanner.oci_registry import OciRegistries
from services.registry_scanner.settings import Settings
from shared.bus.port import Bus, Worker
from shared.config.model import Config
from shared.contract import Draft, ScanRequested
from shared.runtime import service
from shared.runtime.health import Health
from shared.runtime.ticker import ticker

SCANS_AT_ONCE = 10_000
"""In effect no limit: requests are limited for each registry, so that one that hangs can use up the
places of no other."""


@asynccontextmanager
async def wire(config: Config, bus: Bus, _health: Health) -> AsyncIterator[Mapping[str, Worker]]:
    """Yield the workers of registry-scanner."""
    settings = Settings.of(config)
    wanted = Wanted(settings.syncs)

    def due() -> Iterable[tuple[Draft, float]]:
        for image in wanted.images():
            yield _signal(image), settings.interval

    with CreatedCache(settings.state_dir / "created.sqlite") as cache:
        async with OciRegistries(settings, cache) as registries:
            on_group = partial(
                handlers.on_group,
                wanted=wanted,
                registries=registries,
                bus=bus,
                causes=Causes(),
            )
            yield {
                "declared": Declared(bus, wanted).run,
                "consume": bus.worker("registry-scanner", on_group, parallel=SCANS_AT_ONCE),
                "tick": ticker(bus, due),
            }


@lru_cache(maxsize=SCANS_AT_ONCE)  # every second all are looked at
def _signal(image: str) -> Draft:
    return Draft(message=ScanRequested(image=image))


def main() -> None:
    """Run registry-scanner until it is told to stop."""
    service.main("registry-scanner", wire)
