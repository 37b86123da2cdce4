"""All that waits for one sync becomes one look at it."""

from collections.abc import Mapping, Sequence

from services.cluster_applier.domain.asked import asked
from services.cluster_applier.ports import Syncing
from shared.bus.port import Outcome
from shared.contract import DiffMade, DiffQuestion, Draft, Envelope, SuspendRequested, SyncRequested
from shared.runtime.errors import PermanentError, TemporaryError


async def on_group(
    sync: str, messages: Sequence[Envelope], *, syncs: Mapping[str, Syncing]
) -> Outcome:
    """Make what *sync* declares true in its cluster."""
    syncing = syncs.get(sync)
    if syncing is None:
        raise PermanentError(f"flux.yaml has no sync {sync}")
    answers = [
        Draft(message=await _diff(syncing), cause=envelope)
        for envelope in messages
        if isinstance(envelope.message, DiffQuestion)
    ]
    if len(answers) == len(messages):
        return Outcome(events=tuple(answers))
    failed = await _carried_out(messages, syncing)
    look = asked(envelope.message for envelope in messages if envelope.id not in failed)
    try:
        told = await syncing.reconcile(look)
    except PermanentError as error:
        told = (syncing.failed(str(error)),)
    cause = next((one for one in messages if not _is_tick(one)), messages[0])
    events = (*answers, *(Draft(message=message, cause=cause) for message in told))
    return Outcome(events=events, failed=failed)


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
