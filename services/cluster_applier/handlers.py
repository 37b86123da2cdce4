"""All that waits for one sync becomes one look at it."""

from collections.abc import Mapping, Sequence

from services.cluster_applier.domain.asked import asked
from services.cluster_applier.ports import Syncing
from shared.bus.port import Outcome
from shared.contract import Draft, Envelope, SyncRequested
from shared.runtime.errors import PermanentError


async def on_group(
    sync: str, messages: Sequence[Envelope], *, syncs: Mapping[str, Syncing]
) -> Outcome:
    """Make what *sync* declares true in its cluster."""
    syncing = syncs.get(sync)
    if syncing is None:
        raise PermanentError(f"flux.yaml has no sync {sync}")
    look = asked(envelope.message for envelope in messages)
    try:
        told = await syncing.reconcile(look)
    except PermanentError as error:
        told = (syncing.failed(str(error)),)
    cause = next((one for one in messages if not _is_tick(one)), messages[0])
    return Outcome(events=tuple(Draft(message=message, cause=cause) for message in told))


def _is_tick(envelope: Envelope) -> bool:
    message = envelope.message
    return isinstance(message, SyncRequested) and message.reason == "tick"
