"""The one way in which every service starts and stops."""

import argparse
import asyncio
import os
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import structlog

from shared.bus import rabbit
from shared.bus.port import Bus
from shared.config.load import ConfigError, load
from shared.config.model import Config
from shared.runtime import lifecycle, log
from shared.runtime.errors import PermanentError
from shared.runtime.health import Health
from shared.runtime.lifecycle import Worker

logger = structlog.get_logger(__name__)

Wire = Callable[[Config, Bus, Health], AbstractAsyncContextManager[Mapping[str, Worker]]]
"""Introduces a service's parts to each other, and yields its workers by name."""


def main(name: str, wire: Wire) -> None:
    """Run the service *name*; exit code 2 for a configuration that can't be used."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{name.replace('-', '_')}")
    parser.add_argument("--config", type=Path, default=Path("flux.yaml"), help="default: flux.yaml")
    path = parser.parse_args().config
    try:
        config = load(path)
        amqp_url = config.broker.url.read()
    except (ConfigError, PermanentError) as error:
        print(f"{name} does not start:\n{error}", file=sys.stderr)  # noqa: T201 - logs need it
        sys.exit(2)
    replica = f"{socket.gethostname()}-{os.getpid()}"
    log.configure(level=config.log.level, form=config.log.format, service=name, replica=replica)
    asyncio.run(_run(name, replica, config, amqp_url, wire))


async def _run(name: str, replica: str, config: Config, amqp_url: str, wire: Wire) -> None:
    health = Health()
    port = getattr(config.health, name.replace("-", "_"))
    # First the pages, so that a broker that is away is told there and not by a crash.
    with lifecycle.stop_on_signals() as stop:
        async with (
            health.serving(config.health.host, port),
            rabbit.connect(
                amqp_url, source=f"/{name}/{replica}", prefetch=config.broker.prefetch
            ) as bus,
        ):
            health.source(bus.problems)
            async with wire(config, bus, health) as workers:
                logger.info("started", workers=sorted(workers))
                await lifecycle.supervise(workers, stop=stop, grace=config.shutdown_grace)
    logger.info("stopped")
