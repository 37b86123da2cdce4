"""Wires the renderer together. It has no bus, and so a start of its own."""

import argparse
import asyncio
import sys
from pathlib import Path

import structlog

from services.renderer.http_api import Api, serving
from services.renderer.orders import Orders
from services.renderer.programs import cage
from services.renderer.settings import Settings
from shared.config import secrets
from shared.config.load import ConfigError, load
from shared.config.model import Config
from shared.runtime import lifecycle, log
from shared.runtime.errors import FluxError, PermanentError
from shared.runtime.health import Health
from shared.runtime.masking import Masking

logger = structlog.get_logger(__name__)

OPEN = "programs may reach the network, and may outlive their order"


async def serve(config: Config, settings: Settings, health: Health) -> None:
    """Take orders until SIGTERM."""
    prefix = () if settings.network else await asyncio.to_thread(cage)
    if not prefix and not settings.network:
        remedy = "deny its container all egress, as k8s/components/renderer does"
        logger.warning(OPEN, reason="the system does not let us cut them off", remedy=remedy)
    with lifecycle.stop_on_signals() as stop:
        health.check("service", lambda: "is stopping" if stop.is_set() else None)
        api = Api(settings, Orders(settings, prefix))
        async with (
            health.serving(config.health.host, config.health.renderer),
            serving(api, settings) as address,
        ):
            logger.info("started", url=address, caged=bool(prefix))
            await stop.wait()
    logger.info("stopped")


def main() -> None:
    """Run the renderer until it is told to stop; the exit code is 2 for a mistake in flux.yaml."""
    parser = argparse.ArgumentParser(prog="python -m services.renderer")
    parser.add_argument("--config", type=Path, default=Path("flux.yaml"), help="default: flux.yaml")
    path = parser.parse_args().config
    try:
        config = load(path)
        settings = Settings.of(config)
        settings.token.read()
    except (ConfigError, PermanentError) as error:
        print(f"renderer does not start:\n{error}", file=sys.stderr)  # noqa: T201 - logs need it
        sys.exit(2)
    mask = Masking(secrets.known)
    log.configure(level=config.log.level, form=config.log.format, mask=mask, service="renderer")
    try:
        asyncio.run(serve(config, settings, Health(mask)))
    except* FluxError as errors:
        logger.error("failed", reason=str(errors.exceptions[0]))  # noqa: TRY400 - no bug
        sys.exit(1)
