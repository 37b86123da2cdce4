"""
Waits, beside the messages, until what one sync applied is ready; then asks for it to be told.

Nothing of it outlives the process: the inventory says whether a revision was ready, and a look that
finds it was not begins to wait anew.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.cluster_applier.domain.health import Health, has_health, health
from services.cluster_applier.domain.plan import Wanted
from services.cluster_applier.kube import Kube
from shared.bus.port import Bus
from shared.contract import Draft, ObjectHealth, SyncCompleted, SyncRequested
from shared.runtime.errors import TemporaryError
from shared.runtime.lifecycle import unless_stopped
from shared.runtime.tasks import each

FIRST = 0.2
LONGEST = 5.0
"""Seconds between two looks at what is not ready, first and at most."""
AT_ONCE = 8
MOST = 50
"""So many objects that are not ready are named."""


@dataclass(slots=True, kw_only=True)
class _Round:
    done: SyncCompleted
    objects: Mapping[str, Wanted]
    pending: dict[str, Wanted]
    """What is not ready yet, as far as it was seen."""
    until: float
    late: bool = False
    """The deadline has passed, and was told."""
    found: dict[str, Health] = field(default_factory=dict)


class Waiting:
    """Of one sync."""

    def __init__(self, sync: str, kube: Kube, bus: Bus, *, deadline: float) -> None:
        self._sync = sync
        self._kube = kube
        self._bus = bus
        self._deadline = deadline
        self._round: _Round | None = None
        self._over: SyncCompleted | None = None
        self._new = asyncio.Event()

    def begin(self, done: SyncCompleted, wanted: Sequence[Wanted]) -> None:
        """Wait until *wanted* are ready, to tell *done* then, and for nothing else any more."""
        before, until = self._round, asyncio.get_running_loop().time() + self._deadline
        if before is not None and before.done.revision == done.revision:
            # It tells what became of the revision, not of a correction since, and no later.
            done, until = before.done, before.until
        objects = {str(one.id): one for one in wanted if has_health(one.id)}
        self._round, self._over = (
            _Round(done=done, objects=objects, pending=dict(objects), until=until),
            None,
        )
        self._new.set()

    def stop(self) -> None:
        """Wait no more: not everything could be applied."""
        self._round = self._over = None

    def waits(self, revision: str) -> bool:
        """Tell whether a revision is waited for."""
        return self._round is not None and self._round.done.revision == revision

    def over(self, revision: str) -> SyncCompleted | None:
        """Return what is to be told of a revision, once."""
        over, self._over = self._over, None
        return over if over is not None and over.revision == revision else None

    async def run(self, stop: asyncio.Event) -> None:
        """Look at what is waited for until *stop*."""
        while not stop.is_set():
            async with unless_stopped(stop):
                await self._new.wait()
                await self._follow()

    async def _follow(self) -> None:
        delay = FIRST
        while (waited := self._round) is not None:
            self._new.clear()
            await self._look(waited)
            if waited is self._round and await self._is_over(waited):
                return
            if await self._rest(delay):
                delay = FIRST
            delay = min(delay * 2, LONGEST)

    async def _rest(self, seconds: float) -> bool:
        """Wait, but no longer than until something new is waited for; return whether it is."""
        try:
            async with asyncio.timeout(seconds):
                await self._new.wait()
        except TimeoutError:
            return False
        return True

    async def _is_over(self, waited: _Round) -> bool:
        """Ask for the end to be told, where it has come; return whether all is ready."""
        ready = not waited.pending
        late = asyncio.get_running_loop().time() >= waited.until and not waited.late
        if not ready and not late:
            return False
        waited.late = True
        unready = [
            ObjectHealth(id=name, health=one.state, message=one.message)
            for name, one in sorted(waited.found.items())
        ]
        update = {"healthy": ready, "unhealthy": tuple(unready[:MOST])}
        self._over = waited.done.model_copy(update=update)
        if ready:
            self._round = None
        await self._bus.publish(Draft(message=SyncRequested(sync=self._sync, reason="again")))
        return ready

    async def _look(self, waited: _Round) -> None:
        async def look(one: Wanted) -> None:
            name, found = str(one.id), await self._seen(one)
            if found.ready:
                waited.pending.pop(name, None)
                waited.found.pop(name, None)
            else:
                waited.pending[name], waited.found[name] = one, found

        some = list(waited.pending.values())
        await each(some, look, at_once=AT_ONCE, name="health")
        if not waited.pending and len(some) < len(waited.objects):
            # What was ready before need not be so any more.
            await each(waited.objects.values(), look, at_once=AT_ONCE, name="health")

    async def _seen(self, one: Wanted) -> Health:
        try:
            answer = await self._kube.look(one.path)
        except TemporaryError as error:
            return Health(state="unknown", message=str(error))
        if not answer.ok or not isinstance(answer.body, dict):
            return Health(state="unknown", message=f"it can't be read: {answer.reason}")
        return health(answer.body)
