"""Dependencies that are down: told once when they go, once when they are back."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog
from prometheus_client import Gauge

from shared.bus.port import Pace
from shared.bus.publisher import Publisher
from shared.contract import DependencyDown, DependencyUp, Draft
from shared.runtime.errors import TemporaryError

logger = structlog.get_logger(__name__)

AWAY = Gauge("flux_dependency_down", "1 for each that is away now", ["service", "dependency"])


@dataclass(slots=True)
class _Outage:
    reason: str
    since: float = field(default_factory=time.monotonic)
    subjects: set[str] = field(default_factory=set)


class Outages:
    """Who is down, which subjects wait for it, and how long each waits before it tries again."""

    def __init__(self, service: str, publisher: Publisher, pace: Pace) -> None:
        self._pace = pace
        self._service = service
        self._publisher = publisher
        self._outages: dict[str, _Outage] = {}
        self._delays: dict[str, float] = {}
        self._waits_for: dict[str, str] = {}

    def away(self) -> Mapping[str, str]:
        """Return the dependencies that are down, and why."""
        return {name: outage.reason for name, outage in self._outages.items()}

    async def failed(self, subject: str, error: TemporaryError) -> float:
        """Note that *subject* waits for a dependency; return the seconds until its next try."""
        await self.down(error)
        self._outages[error.dependency].subjects.add(subject)
        self._waits_for[subject] = error.dependency
        before = self._delays.get(subject)
        delay = min(2 * before if before else self._pace.first_delay, self._pace.longest_delay)
        self._delays[subject] = delay
        # Subjects that failed together must not all come back together.
        return max(delay, error.retry_after or 0.0) * random.uniform(1.0, 1.25)  # noqa: S311 - jitter

    async def worked(self, subject: str) -> None:
        """Note that *subject* was worked on: what it waited for is back."""
        self._delays.pop(subject, None)
        dependency = self._waits_for.pop(subject, None)
        if dependency is not None:
            await self.up(dependency)

    async def down(self, error: TemporaryError) -> None:
        """Tell that a dependency is gone, unless that was told."""
        known = self._outages.get(error.dependency)
        if known:
            known.reason = error.reason
            return
        self._outages[error.dependency] = _Outage(reason=error.reason)
        AWAY.labels(self._service, error.dependency).set(1)
        logger.warning("dependency down", dependency=error.dependency, reason=error.reason)
        message = DependencyDown(
            service=self._service, dependency=error.dependency, reason=error.reason
        )
        await self._publisher.publish(Draft(message=message))

    async def up(self, dependency: str) -> None:
        """Tell that a dependency is back, if it was gone."""
        outage = self._outages.pop(dependency, None)
        if outage is None:
            return
        AWAY.remove(self._service, dependency)
        gone = time.monotonic() - outage.since
        logger.info("dependency up", dependency=dependency, gone_seconds=round(gone, 1))
        message = DependencyUp(service=self._service, dependency=dependency, seconds=gone)
        await self._publisher.publish(Draft(message=message))
