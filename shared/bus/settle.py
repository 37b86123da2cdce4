"""
What becomes of a group: handled, its results confirmed, and only then acknowledged.

Three ends for a failure. A dependency is down: facts and signals are acknowledged (they are said
again) but kept here and tried again; orders wait unacknowledged, ten minutes at most. A message is
at fault: it ends rejected or in `flux.dead`. A bug: three tries, then the message's dead letter,
never the process.
"""

import asyncio
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import replace

import structlog
from prometheus_client import Counter, Histogram

from shared.bus.dead import DeadLetter
from shared.bus.lane import KEPT, Held, Kept
from shared.bus.outages import Outages
from shared.bus.port import Handler, Outcome, Pace, Window
from shared.bus.publisher import Publisher
from shared.bus.transport import ChannelLostError, Delivery
from shared.contract import (
    Draft,
    Envelope,
    OrderAccepted,
    OrderCompleted,
    OrderRejected,
    Question,
)
from shared.contract.codec import MalformedError
from shared.runtime import faults
from shared.runtime.errors import PermanentError, TemporaryError

logger = structlog.get_logger(__name__)

PATIENCE = 600.0
"""Seconds an order waits for a dependency."""

HANDLED = Counter("flux_bus_messages_total", "Messages settled", ["service", "type", "outcome"])
SECONDS = Histogram("flux_bus_group_seconds", "Time to settle a group", ["service"])


class Settler:
    """Settles the groups of one service's worker."""

    def __init__(
        self,
        service: str,
        handler: Handler,
        publisher: Publisher,
        outages: Outages,
        pace: Pace,
        *,
        window: Window | None,
        parallel: int,
    ) -> None:
        self.window = window
        self._tries = pace.tries
        self._soonest = pace.soonest
        self._service = service
        self._handler = handler
        self._publisher = publisher
        self._outages = outages
        self._slots = asyncio.Semaphore(parallel)

    async def settle(self, subject: str, group: Sequence[Held]) -> Kept | None:
        """Work *group* off; return what must be tried again later, or None."""
        group = await self._without_stale(group)
        if not group:
            return None
        async with self._slots:
            with SECONDS.labels(self._service).time():
                return await self._attempt(subject, group)

    async def bury_unreadable(
        self, delivery: Delivery, error: MalformedError, *, queue: str
    ) -> None:
        """Send what can't be parsed to the dead letters at once."""
        logger.error("dead letter", queue=queue, reason=str(error))
        await self._publisher.bury(DeadLetter.unreadable(delivery, error, queue=queue))
        await delivery.ack()
        HANDLED.labels(self._service, "unreadable", "dead").inc()

    async def _without_stale(self, group: Sequence[Held]) -> Sequence[Held]:
        """
        Drop questions that nobody waits for any more.

        How long somebody waits is told by two times of one clock, theirs, and measured by ours:
        the two may be hours apart. The broker is not told: what expires in a queue that has dead
        letters becomes one.
        """
        fresh = []
        for held in group:
            deadline = held.envelope.deadline
            if deadline and _waited(held) > (deadline - held.envelope.time).total_seconds():
                await self._done([held], "stale")
            else:
                fresh.append(held)
        return fresh

    async def _attempt(self, subject: str, group: Sequence[Held]) -> Kept | None:
        try:
            await self._handle(subject, group)
        except TemporaryError as error:
            return await self._keep(subject, group, error)
        except PermanentError as error:
            if len(group) > 1:
                return await self._one_by_one(subject, group)
            await self._refuse(group[0], error)
        except ChannelLostError:
            raise
        except Exception as error:  # the one boundary where a bug must not end the process
            logger.exception("handler failed", subject=subject, messages=len(group))
            if len(group) > 1:
                return await self._one_by_one(subject, group)
            return await self._try_again(subject, group[0], error)
        return None

    async def _handle(self, subject: str, group: Sequence[Held]) -> None:
        with structlog.contextvars.bound_contextvars(
            subject=subject, correlation=group[0].envelope.correlationid
        ):
            await self._accept(group)
            outcome = await self._handler(subject, [held.envelope for held in group])
            await faults.reach("publish.before")
            await self._publisher.publish(*outcome.events, *_ends(group, outcome))
            await faults.reach("publish.after")
            for held in group:
                if held.envelope.id in outcome.failed and not held.is_order:
                    await self._refuse(held, outcome.failed[held.envelope.id])
            await self._outages.worked(subject)
            await self._done(group, "done")

    async def _accept(self, group: Iterable[Held]) -> None:
        new = [held for held in group if held.is_order and not held.accepted]
        await self._publisher.publish(*(_accepted(held.envelope) for held in new))
        for held in new:
            held.accepted = True

    async def _one_by_one(self, subject: str, group: Sequence[Held]) -> Kept | None:
        """Find the message at fault; stop at one that must wait, to keep the order."""
        for number, held in enumerate(group):
            kept = await self._attempt(subject, [held])
            if kept:
                rest = (*kept.group, *group[number + 1 :])
                return replace(kept, group=rest)
        return None

    async def _try_again(self, subject: str, held: Held, error: Exception) -> Kept | None:
        for delay in self._tries[1:]:
            await asyncio.sleep(delay)
            try:
                await self._handle(subject, [held])
            except TemporaryError as temporary:
                return await self._keep(subject, [held], temporary)
            except PermanentError as permanent:
                await self._refuse(held, permanent)
                return None
            except ChannelLostError:
                raise
            except Exception as again:  # noqa: BLE001 - the same boundary, tried again
                error = again
            else:
                return None
        await self._refuse(held, error)
        return None

    async def _keep(self, subject: str, group: Sequence[Held], error: TemporaryError) -> Kept:
        """Keep *group* for later; give up on orders that waited too long."""
        delay = await self._outages.failed(subject, error)
        kept = []
        for held in group:
            if held.is_order and _waited(held) > PATIENCE:
                reason = f"{error}; given up after {PATIENCE / 60:.0f} minutes, order it again"
                await self._refuse(held, PermanentError(reason))
                continue
            if not held.is_order:
                await held.ack()
            if not isinstance(held.envelope.message, Question):
                kept.append(held)
        facts = [held for held in kept if not held.is_order][-KEPT:]
        return Kept(
            group=tuple(held for held in kept if held.is_order or held in facts),
            retry_after=delay,
            at_least=min(delay, max(self._soonest, error.retry_after or 0.0)),
        )

    async def _refuse(self, held: Held, error: Exception) -> None:
        """End a message at fault: an order rejected, any other in the dead letters."""
        if held.is_order:
            await self._publisher.publish(_rejected(held.envelope, _sentence(error)))
        if not held.is_order or not isinstance(error, PermanentError):
            what = {"type": held.envelope.type, "about": held.envelope.subject}
            logger.error("dead letter", queue=held.queue, reason=_sentence(error), **what)
            trace = "".join(traceback.format_exception(error))
            await self._publisher.bury(
                DeadLetter.refused(
                    held.envelope,
                    _sentence(error),
                    trace,
                    queue=held.queue,
                    tries=1 if isinstance(error, PermanentError) else len(self._tries),
                    first=held.came.isoformat(),
                )
            )
        await self._done([held], "refused")

    async def _done(self, group: Iterable[Held], outcome: str) -> None:
        for held in group:
            await held.ack()
            HANDLED.labels(self._service, held.envelope.type, outcome).inc()


def _waited(held: Held) -> float:
    return asyncio.get_running_loop().time() - held.since


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, PermanentError) else f"{type(error).__name__}: {error}"


def _accepted(order: Envelope) -> Draft:
    return Draft(message=OrderAccepted(order=order.id, about=order.subject), cause=order)


def _rejected(order: Envelope, reason: str) -> Draft:
    message = OrderRejected(order=order.id, about=order.subject, reason=reason)
    return Draft(message=message, cause=order)


def _ends(group: Sequence[Held], outcome: Outcome) -> Iterable[Draft]:
    """Tell the end of every order that the handler did not tell itself."""
    told = {
        draft.message.order
        for draft in outcome.events
        if isinstance(draft.message, OrderCompleted | OrderRejected)
    }
    for held in group:
        order = held.envelope
        if not held.is_order or order.id in told:
            continue
        if order.id in outcome.failed:
            yield _rejected(order, str(outcome.failed[order.id]))
        else:
            yield Draft(message=OrderCompleted(order=order.id, about=order.subject), cause=order)
