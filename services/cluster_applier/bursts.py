"""How long the applier gathers when revisions come faster than they are worth applying."""

from collections.abc import Sequence

from shared.bus.port import Window
from shared.contract import Envelope, StateDeclared, SyncRequested

QUIET = 0.25
MUCH = 2.0
"""Seconds; a busy git-watcher looks less often, and finds several commits each time."""


def quiet(gathered: Sequence[Envelope]) -> float:
    """Return how long it must be quiet: longer where several commits came between two looks."""
    messages = (one.message for one in gathered)
    several = any(isinstance(one, StateDeclared) and one.commits > 1 for one in messages)
    return MUCH if several else QUIET


BURSTS = Window(longer=quiet, max_wait=6.0, at_once=(SyncRequested,), burst=MUCH, first=2)
"""Of many revisions in a row the first two and the last are applied; a single one does not wait."""
