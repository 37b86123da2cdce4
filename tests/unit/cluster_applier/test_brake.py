"""What takes too much away waits for a person, and what is new does not make it look like less."""

import pytest

from services.cluster_applier.domain.asked import asked
from services.cluster_applier.domain.brake import reason_to_hold
from services.cluster_applier.domain.inventory import Applied, Inventory
from shared.contract import SyncRequested


@pytest.mark.parametrize(
    ("gone", "before", "declared", "limit", "held"),
    [
        (0, 10, 10, 0.5, False),
        (5, 10, 5, 0.5, False),
        (6, 10, 4, 0.5, True),
        (1, 1, 1, 1.0, True),
        (9, 10, 1, 1.0, False),
        (10, 10, 10, 1.0, True),
        (1, 10, 9, 0.0, True),
        (1, 10, 0, 1.0, True),
        (0, 0, 0, 0.5, False),
    ],
)
def test_more_than_the_share_and_everything_wait(
    gone: int, before: int, declared: int, limit: float, *, held: bool
) -> None:
    assert bool(reason_to_hold(gone, before, declared=declared, limit=limit)) is held


def test_the_reason_says_how_much_and_what_to_do() -> None:
    said = reason_to_hold(6, 10, declared=4, limit=0.5)
    assert "6 of 10 objects, and 50% at most" in said
    assert "`fluxctl sync --allow-prune`" in said
    assert "everything (3 objects)" in reason_to_hold(3, 3, declared=0, limit=0.5)


def test_of_so_many_objects_a_push_takes_away_as_there_were_before_it() -> None:
    there, new = Applied(uid="u"), Applied()
    objects = {"ConfigMap a": there, "ConfigMap b": there, "ConfigMap c": new}
    assert Inventory(sync="apps", objects=objects).base == 2
    assert Inventory(sync="apps", objects=objects, before=7).base == 7


def test_the_last_allowance_of_a_group_counts() -> None:
    messages = [
        SyncRequested(sync="apps", reason="person", allow_prune="r1"),
        SyncRequested(sync="apps", reason="person", allow_prune="r2"),
        SyncRequested(sync="apps", reason="tick"),
    ]
    assert asked(messages).allow_prune == "r2"
