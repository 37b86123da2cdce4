"""
A Lease in the cluster itself: of several replicas one does what belongs to the whole of it.

The holder renews it. Others take it once they have seen it unchanged for as long as it is valid, by
their own clock: nobody's wall clock is trusted. The holder counts it as lost before that, without
asking anybody: who was frozen knows it by the first look at the clock.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from services.cluster_applier.answers import Answer
from services.cluster_applier.kube import Kube
from services.cluster_applier.namespace import create_in
from services.cluster_applier.reach import Reach
from shared.runtime.errors import PermanentError, TemporaryError
from shared.runtime.lifecycle import unless_stopped
from shared.runtime.tasks import cancelled

logger = structlog.get_logger(__name__)

Work = Callable[[asyncio.Event], Coroutine[Any, Any, None]]
"""Runs until the event is set."""
_WHO = "the Lease"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How long a Lease is valid; seconds."""

    valid: float = 8.0
    """After its last renewal; then others take it."""
    held: float = 6.0
    """The same for the holder."""
    beat: float = 2.0
    """Between two renewals, and between two looks of those who wait for it."""


class Lease:
    """One target's Lease, as one process sees it."""

    def __init__(
        self,
        kube: Kube,
        reach: Reach,
        *,
        namespace: str,
        name: str,
        identity: str,
        terms: Terms | None = None,
    ) -> None:
        self._kube = kube
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._reach = reach
        self._terms = terms or Terms()
        self._until = float("-inf")
        self._seen: tuple[str, float] = "", float("-inf")
        """The version that was seen last, and since when, on the loop's clock."""
        self._spec: Mapping[str, Any] = {}

    @property
    def held(self) -> bool:
        """Whether it is ours right now."""
        return _now() < self._until

    async def run(self, stop: asyncio.Event, work: Work) -> None:
        """Do *work* whenever it is ours, until *stop*; then give it back."""
        while not stop.is_set():
            if await self._renewed():
                logger.info("lease taken", lease=self._name)
                await self._hold(stop, work)
            else:
                async with unless_stopped(stop):
                    await asyncio.sleep(self._terms.beat * random.uniform(0.5, 1.0))  # noqa: S311 - jitter

    async def _hold(self, stop: asyncio.Event, work: Work) -> None:
        end = asyncio.Event()
        working = asyncio.create_task(work(end), name="hold the lease")
        keeping = asyncio.create_task(self._keep(), name="keep the lease")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            tasks = {working, keeping, stopping}
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                end.set()
                await asyncio.wait({working, keeping}, return_when=asyncio.FIRST_COMPLETED)
            for task in (working, keeping):
                if task.done():
                    task.result()  # a bug ends the process
        finally:
            await cancelled(working, keeping, stopping)
        if stopping.done():
            await self._release()
        else:
            logger.warning("lease lost", lease=self._name)

    async def _keep(self) -> None:
        """Renew until it is lost."""
        while self.held:
            await asyncio.sleep(self._terms.beat)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._until):
                    await self._renewed()
            if self._is_anothers():
                self._until = float("-inf")

    async def _renewed(self) -> bool:
        """Take it or renew it if that may be; a cluster that is away is told."""
        try:
            done = await self._take()
        except TemporaryError as error:
            await self._reach.lost(_WHO, error)
            return False
        await self._reach.found(_WHO)
        return done

    async def _take(self) -> bool:
        asked = _now()
        if not self.held:
            await self._look()
        if not self._is_free():
            return False
        version, spec = self._seen[0], self._wanted(self._identity)
        body = self._body(version, spec)
        answer = await (self._kube.replace(self._path, body) if version else self._create(body))
        if answer.status in {404, 409}:
            await self._look()
            return False
        if not answer.ok:
            raise self._refusal(answer.status, answer.reason)
        self._note(str(answer.metadata.get("resourceVersion", "")), spec)
        self._until = asked + self._terms.held
        return True

    async def _look(self) -> None:
        answer = await self._kube.get(self._path)
        if answer.status == 404:
            self._note("", {})
        elif not answer.ok:
            raise self._refusal(answer.status, answer.reason)
        else:
            self._note(
                str(answer.metadata.get("resourceVersion", "")), answer.body.get("spec") or {}
            )

    def _note(self, version: str, spec: Mapping[str, Any]) -> None:
        if version != self._seen[0]:
            self._seen = version, _now()
        self._spec = spec

    def _is_anothers(self) -> bool:
        return self._spec.get("holderIdentity") not in {None, "", self._identity}

    def _is_free(self) -> bool:
        """Tell whether we may take it: nobody holds it, or whoever did has not been heard of."""
        if not self._is_anothers():
            return True
        valid = self._spec.get("leaseDurationSeconds")
        seconds = float(valid) if isinstance(valid, int) and valid > 0 else self._terms.valid
        return _now() - self._seen[1] >= seconds

    async def _release(self) -> None:
        """Give it back, so that another replica need not wait."""
        if not self.held:
            return
        self._until = float("-inf")
        try:
            await self._kube.replace(self._path, self._body(self._seen[0], self._wanted("")))
        except TemporaryError as error:
            logger.debug("lease not given back", reason=error.reason)

    async def _create(self, body: object) -> Answer:
        try:
            return await create_in(self._kube, self._namespace, self._collection, body)
        except PermanentError as error:
            raise TemporaryError(self._full_name, str(error)) from error

    def _wanted(self, holder: str) -> Mapping[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        taken = self._spec.get("holderIdentity") != holder
        return {
            "holderIdentity": holder,
            "leaseDurationSeconds": max(1, round(self._terms.valid)),
            "acquireTime": now if taken else self._spec.get("acquireTime", now),
            "renewTime": now,
            "leaseTransitions": int(self._spec.get("leaseTransitions") or 0) + taken,
        }

    def _body(self, version: str, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        metadata = {"name": self._name, "namespace": self._namespace}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {**metadata, **({"resourceVersion": version} if version else {})},
            "spec": spec,
        }

    def _refusal(self, status: int, reason: str) -> TemporaryError:
        verbs = "; allow the verbs get, create and update of leases in coordination.k8s.io"
        return TemporaryError(self._full_name, f"{reason}{verbs if status == 403 else ''}")

    @property
    def _full_name(self) -> str:
        return f"{self._kube.name}, lease {self._namespace}/{self._name}"

    @property
    def _collection(self) -> str:
        return f"/apis/coordination.k8s.io/v1/namespaces/{self._namespace}/leases"

    @property
    def _path(self) -> str:
        return f"{self._collection}/{self._name}"


def _now() -> float:
    return asyncio.get_running_loop().time()
