"""
A poll: fetch once for all that asked, render what changed, say it, and only then remember it.

The marker is written last: a process that dies in between says everything again, which is
harmless, because a bundle is named by what it holds.
"""

import time
from collections.abc import Mapping, Sequence

import structlog

from services.git_watcher.branch import Branch
from services.git_watcher.declaration import Declaration
from services.git_watcher.settings import SyncSettings
from shared.bundle import store
from shared.bus.port import Bus, Outcome
from shared.contract import Draft, Envelope, HeadQuestion, HeadTold, PollRequested
from shared.runtime import faults
from shared.runtime.errors import PermanentError, TemporaryError
from shared.runtime.tasks import each

logger = structlog.get_logger(__name__)

SYNCS = 8
"""Syncs of one branch that are declared at once: most of the time is waiting for confirms."""


async def on_group(
    repository: str, messages: Sequence[Envelope], *, branches: Mapping[str, Branch], bus: Bus
) -> Outcome:
    """Look at the branch now, and say what is new."""
    branch = branches.get(repository)
    if branch is None:
        raise PermanentError(f"no sync of flux.yaml reads {repository}")
    try:
        head = await branch.head()
    except TemporaryError as error:
        await bus.publish(*_answers(messages, HeadTold(error=str(error))))
        raise
    cause = _cause(messages)
    again = any(_reason(message) == "again" for message in messages)
    await each(
        branch.syncs,
        lambda sync: _declare(branch, sync, head, cause, bus, again=again),
        at_once=SYNCS,
        name=f"declare {repository}",
    )
    await _observe(branch, head, cause, bus)
    answers = tuple(_answers(messages, HeadTold(revision=head, branch=branch.mirror.branch)))
    if outage := branch.outage():
        # All else is said. What waits for the renderer is tried again until it is back.
        await bus.publish(*answers)
        raise outage
    return Outcome(events=answers)


async def _declare(
    branch: Branch, sync: SyncSettings, head: str, cause: Envelope, bus: Bus, *, again: bool
) -> None:
    declaration = await branch.declare(sync, head)
    if again or await branch.published(sync) != declaration.bundle.digest:
        await faults.reach("bundle.before")
        await store.publish(bus, declaration.bundle)
        await faults.reach("bundle.after")
    elif not _is_due(declaration, sync):
        return
    await bus.publish(Draft(message=declaration.state, cause=cause))
    await branch.mark(declaration)


async def _observe(branch: Branch, head: str, cause: Envelope, bus: Bus) -> None:
    news = await branch.observe(head)
    if news:
        await bus.publish(Draft(message=news, cause=cause))
        await branch.mark_observed(head)


def _is_due(declaration: Declaration, sync: SyncSettings) -> bool:
    """What holds is said again, for those who lost it or came later."""
    return time.monotonic() - declaration.said >= sync.interval


def _cause(messages: Sequence[Envelope]) -> Envelope:
    """Return what most deserves to be named as the cause: anything but a tick."""
    return next((one for one in messages if _reason(one) != "tick"), messages[0])


def _reason(envelope: Envelope) -> str:
    message = envelope.message
    return message.reason if isinstance(message, PollRequested) else ""


def _answers(messages: Sequence[Envelope], told: HeadTold) -> list[Draft]:
    return [
        Draft(message=told, cause=envelope)
        for envelope in messages
        if isinstance(envelope.message, HeadQuestion)
    ]
