"""How long the applier gathers when revisions come faster than they are worth applying."""

from collections.abc import Sequence

from shared.bus.port import Window
from shared.contract import Envelope, StateDeclared, SyncRequested

SOON = 0.1
QUIET = 0.25
MUCH = 2.0
"""Seconds; a busy git-watcher looks less often, and finds several commits each time."""


def soon(gathered: Sequence[Envelope]) -> float:
    """Return how soon after the last apply these are of one burst with it."""
    return MUCH if _several(gathered) else SOON


def quiet(gathered: Sequence[Envelope]) -> float:
    """Return how long it must be quiet: longer where several commits came between two looks."""
    return MUCH if _several(gathered) else QUIET


def _several(gathered: Sequence[Envelope]) -> bool:
    messages = (one.message for one in gathered)
    return any(isinstance(one, StateDeclared) and one.commits > 1 for one in messages)


BURSTS = Window(longer=quiet, max_wait=6.0, at_once=(SyncRequested,), soon=soon, first=2)
"""Of many revisions in a row the first two and the last are applied; a single one does not wait."""
