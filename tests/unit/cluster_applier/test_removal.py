"""When a sync that left flux.yaml may be removed, and which may be at all."""

from typing import Any

import pytest

from services.cluster_applier.domain.inventory import Inventory, Removal
from services.cluster_applier.domain.removal import reason_to_leave
from services.cluster_applier.settings import Settings
from shared.config.model import Config

MARKED = Inventory(sync="apps", generation=5, removal=Removal(target="prod", generation=5))


@pytest.mark.parametrize(
    ("more", "generation", "reason"),
    [
        ({}, 6, ""),
        ({"removal": None}, 6, "was off"),
        ({}, 5, "not newer than 5"),
        ({"generation": 6}, 6, "not newer than 6"),
        ({"removal": Removal(target="prod", generation=6)}, 6, "not newer than 6"),
        ({"removal": Removal(target="test", generation=5)}, 6, "target test"),
        ({}, 0, "has no generation"),
        ({"suspended": "suspended by ann"}, 6, "suspended by ann"),
    ],
)
def test_only_a_newer_file_removes_and_only_what_was_marked_and_does_not_rest(
    more: dict[str, Any], generation: int, reason: str
) -> None:
    found = reason_to_leave(MARKED.model_copy(update=more), "prod", generation)
    assert bool(found) == bool(reason)
    assert reason in found


@pytest.mark.parametrize(
    ("keys", "goes"),
    [
        ({"prune_on_removal": True}, True),
        ({}, False),
        ({"prune_on_removal": True, "prune": False}, False),
        ({"prune_on_removal": True, "prune_dry_run": True}, False),
    ],
)
def test_a_sync_that_deletes_nothing_deletes_nothing_when_it_is_removed(
    keys: dict[str, bool], *, goes: bool
) -> None:
    sync = {"name": "apps", "git": {"url": "u"}, **keys}
    (found,) = Settings.of(Config.model_validate({"generation": 5, "syncs": [sync]})).syncs
    assert bool(found.removal) == goes
