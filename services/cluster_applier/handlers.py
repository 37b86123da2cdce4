"""All that waits for one sync becomes one look at it."""

from collections.abc import Mapping, Sequence

from services.cluster_applier.domain.asked import asked
from services.cluster_applier.ports import Syncing
from shared.bus.port import Bus, Outcome
from shared.contract import (
    DiffMade,
    DiffQuestion,
    Draft,
    Envelope,
    Message,
    SuspendRequested,
    SyncRequested,
)
from shared.runtime import faults
from shared.runtime.errors import PermanentError, TemporaryError


async def on_group(
    sync: str, messages: Sequence[Envelope], *, syncs: Mapping[str, Syncing], bus: Bus
) -> Outcome:
    """Make what *sync* declares true in its cluster."""
    syncing = syncs.get(sync)
    if syncing is None:
        raise PermanentError(f"flux.yaml has no sync {sync}")
    async with syncing.place:
        return await _worked_off(messages, syncing, bus)


async def _worked_off(messages: Sequence[Envelope], syncing: Syncing, bus: Bus) -> Outcome:
    answers = [
        Draft(message=await _diff(syncing), cause=envelope)
        for envelope in messages
        if isinstance(envelope.message, DiffQuestion)
    ]
    if len(answers) == len(messages):
        return Outcome(events=tuple(answers))
    failed = await _carried_out(messages, syncing)
    look = asked(envelope.message for envelope in messages if envelope.id not in failed)
    cause = next((one for one in messages if not _is_tick(one)), messages[0])

    async def tell(told: Sequence[Message]) -> None:
        await faults.reach("publish.before")
        await bus.publish(*(Draft(message=message, cause=cause) for message in told))
        await faults.reach("publish.after")

    try:
        await syncing.reconcile(look, tell)
    except PermanentError as error:
        await tell([syncing.failed(str(error))])
    return Outcome(events=tuple(answers), failed=failed)


async def _diff(syncing: Syncing) -> DiffMade:
    try:
        return await syncing.diff()
    except (PermanentError, TemporaryError) as error:
        return DiffMade(error=str(error))


async def _carried_out(
    messages: Sequence[Envelope], syncing: Syncing
) -> Mapping[str, PermanentError]:
    """Do what people order; return by message what can't be done."""
    failed: dict[str, PermanentError] = {}
    for envelope in messages:
        if isinstance(envelope.message, SuspendRequested):
            try:
                await syncing.suspend(envelope.message)
            except PermanentError as error:
                failed[envelope.id] = error
    return failed


def _is_tick(envelope: Envelope) -> bool:
    message = envelope.message
    return isinstance(message, SyncRequested) and message.reason == "tick"
