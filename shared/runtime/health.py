"""`/livez`, `/readyz` and `/metrics` of a process, and how late its event loop is."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, Histogram, generate_latest

from shared.runtime.errors import PermanentError
from shared.runtime.masking import without_userinfo

logger = structlog.get_logger(__name__)

BEAT = 0.25
"""Seconds between two looks at the event loop; a pause that fits in between may not be seen."""
HELD = 0.05
"""Seconds of lag that are told; everybody who asks or waits has to wait as long."""

LAG = Histogram(
    "flux_event_loop_lag_seconds",
    "How much later than asked the event loop came back",
    buckets=(0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0),
)
LAG_NOW = Gauge("flux_event_loop_lag_last_seconds", "The same, at the last look")

Check = Callable[[], str | None]
Source = Callable[[], Mapping[str, str]]


class Health:
    """What is wrong with this process now, by name."""

    def __init__(self, mask: Callable[[str], str] = without_userinfo) -> None:
        self._mask = mask
        self._checks: dict[str, Check] = {}
        self._sources: list[Source] = []
        self._away: list[Source] = []

    def check(self, name: str, check: Check) -> None:
        """Ask *check* at every `/readyz`; what it returns is what is wrong."""
        self._checks[name] = check

    def source(self, problems: Source) -> None:
        """Ask *problems* at every `/readyz` for any number of named problems."""
        self._sources.append(problems)

    def away(self, peers: Source) -> None:
        """Ask *peers* at every `/readyz` who is away, and why; told, and no problem of ours."""
        self._away.append(peers)

    def problems(self) -> Mapping[str, str]:
        """Return what is wrong now."""
        found = {name: said for name, check in self._checks.items() if (said := check())}
        return {**found, **_all(self._sources)}

    @asynccontextmanager
    async def serving(self, host: str, port: int) -> AsyncIterator[str]:
        """
        Serve the pages for the length of the block; yield their address.

        Raises:
            PermanentError: the address can't be listened on.
        """
        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            address = await _listen(runner, host, port)
            logger.info("health", url=f"{address}/readyz")
            async with asyncio.TaskGroup() as group:
                beat = group.create_task(_beat(), name="event loop lag")
                yield address
                beat.cancel()
        finally:
            await runner.cleanup()

    async def _livez(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        problems = self.problems()
        told = {**_all(self._away), **problems}
        lines = [f"{name}: {' '.join(said.split())}\n" for name, said in sorted(told.items())]
        text = self._mask("".join(lines)) or "ok\n"
        return web.Response(text=text, status=503 if problems else 200)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _all(sources: Iterable[Source]) -> Mapping[str, str]:
    return {name: said for source in sources for name, said in source().items()}


async def _listen(runner: web.AppRunner, host: str, port: int) -> str:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise PermanentError(
            f"the health pages can't listen on {host}:{port}: {error.strerror};"
            " choose another address under health in flux.yaml"
        ) from error
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{runner.addresses[0][1]}"


async def _beat() -> None:
    loop = asyncio.get_running_loop()
    while True:
        asked, worked = loop.time() + BEAT, time.process_time()
        await asyncio.sleep(BEAT)
        late = max(loop.time() - asked, 0.0)
        LAG.observe(late)
        LAG_NOW.set(late)
        # What a busy machine does to us is no fault of ours; the metrics show it.
        held = min(late, time.process_time() - worked)
        if held > HELD:
            logger.warning("event loop held up", seconds=round(held, 3))
