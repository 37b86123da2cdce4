"""The one way in which every service starts and stops."""

import argparse
import asyncio
import os
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from secrets import token_hex

import structlog

from shared.bus import rabbit
from shared.bus.port import Bus
from shared.config import secrets
from shared.config.load import ConfigError, load
from shared.config.model import Config
from shared.runtime import faults, garbage, lifecycle, log, memory
from shared.runtime.errors import FluxError, PermanentError
from shared.runtime.health import Health
from shared.runtime.lifecycle import Worker
from shared.runtime.masking import Masking

logger = structlog.get_logger(__name__)

Wire = Callable[[Config, Bus, Health], AbstractAsyncContextManager[Mapping[str, Worker]]]
"""Introduces a service's parts to each other, and yields its workers by name."""

Connect = Callable[[str], AbstractAsyncContextManager[Bus]]
"""Opens the bus, given our source."""


def main(name: str, wire: Wire, arguments: list[str] | None = None) -> None:
    """
    Run the service *name* until it is told to stop.

    Exit code 0 after SIGTERM, 2 for a configuration that can't be used, 1 for anything else.
    """
    parser = argparse.ArgumentParser(prog=f"python -m services.{name.replace('-', '_')}")
    parser.add_argument("--config", type=Path, default=Path("flux.yaml"), help="default: flux.yaml")
    path = parser.parse_args(arguments).config
    try:
        config = load(path)
        address = config.broker.url_of(name)
        amqp_url = address.read()
        faults.arm(os.environ.get(faults.VARIABLE, ""))
    except (ConfigError, PermanentError) as error:
        print(f"{name} does not start:\n{error}", file=sys.stderr)  # noqa: T201 - logs need it
        sys.exit(2)
    # A container that starts again has its name and its process id from before.
    replica = f"{socket.gethostname()}-{os.getpid()}-{token_hex(3)}"
    mask = Masking(secrets.known)
    log.configure(
        level=config.log.level, form=config.log.format, mask=mask, service=name, replica=replica
    )
    if address is config.broker.url:
        logger.warning(
            "one broker user for all: the broker does not check which service says what",
            remedy=f"set {config.broker.service_urls.of(name).env} and run the topology again",
        )

    def connect(source: str) -> AbstractAsyncContextManager[Bus]:
        return rabbit.connect(amqp_url, source=source, prefetch=config.broker.prefetch)

    failures: list[FluxError] = []
    try:
        asyncio.run(run(name, replica, config, wire, connect=connect, health=Health(mask)))
    except* FluxError as errors:
        failures = _single(errors)
    for failure in failures:
        logger.error("failed", reason=str(failure))
    sys.exit(1 if failures else 0)


async def run(
    name: str, replica: str, config: Config, wire: Wire, *, connect: Connect, health: Health
) -> None:
    """Open what the service needs, in order, and run its workers until SIGTERM."""
    garbage.collect_seldom()
    memory.give_back()
    port = getattr(config.health, name.replace("-", "_"))
    workers: Mapping[str, Worker] | None = None
    with lifecycle.stop_on_signals() as stop:

        def phase() -> str | None:
            if stop.is_set():
                return "is stopping"
            return "is starting" if workers is None else None

        health.check("service", phase)
        async with AsyncExitStack() as opened:
            # First the pages, so that a broker that is away is told there and not by a crash.
            await opened.enter_async_context(health.serving(config.health.host, port))
            async with lifecycle.unless_stopped(stop):
                bus = await opened.enter_async_context(connect(f"/{name}/{replica}"))
                health.source(bus.problems)
                health.away(bus.away)
                workers = await opened.enter_async_context(wire(config, bus, health))
                logger.info("started", workers=sorted(workers))
                garbage.keep_all()
            if workers is not None:
                await lifecycle.supervise(workers, stop=stop, grace=config.shutdown_grace)
    logger.info("stopped")


def _single(errors: BaseExceptionGroup[FluxError]) -> list[FluxError]:
    """Return the errors of a group, however deep it is."""
    found: list[FluxError] = []
    for error in errors.exceptions:
        found += _single(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
