"""Partitions are spread evenly over replicas, and all replicas agree how."""

from collections import Counter
from itertools import permutations

import pytest

from shared.bus.spread import GONE, Members, first_choices
from shared.contract import PARTITIONS, ReplicaPresent


def replicas(count: int) -> list[str]:
    return [f"/git-watcher/pod-{number}" for number in range(count)]


def present(replica: str, **more: object) -> ReplicaPresent:
    return ReplicaPresent.model_validate({"service": "git-watcher", "replica": replica, **more})


@pytest.mark.parametrize("count", range(1, 21))
def test_each_replica_has_the_floor_or_the_ceiling_of_the_mean(count: int) -> None:
    found = Counter(first_choices(replicas(count)).values())
    least, more = divmod(PARTITIONS, count)
    assert {found[replica] for replica in replicas(count)} <= {least, least + bool(more)}
    assert sum(found.values()) == PARTITIONS


def test_all_agree_in_whatever_order_they_met() -> None:
    assert first_choices(replicas(5)) == first_choices(replicas(5)[::-1])


@pytest.mark.parametrize("count", range(2, 9))
def test_who_goes_moves_little_beside_its_own(count: int) -> None:
    before, after = first_choices(replicas(count)), first_choices(replicas(count)[1:])
    moved = [number for number in before if before[number] != after[number]]
    own = [number for number in before if before[number] == replicas(count)[0]]
    assert set(own) <= set(moved)
    assert len(moved) <= len(own) + 4


def test_what_another_should_have_is_yielded_once_it_has_subscribed_and_only_once() -> None:
    own, other = replicas(2)
    members = Members(own=own)
    should = [number for number, one in first_choices([own, other]).items() if one == other]

    members.hear(present(other), now=0)
    assert members.to_yield(range(PARTITIONS), 0) == []

    members.hear(present(other, partitions=dict.fromkeys(should, 1)), now=1)
    assert sorted(members.to_yield(range(PARTITIONS), 1)) == sorted(should)
    assert members.to_yield(range(PARTITIONS), 20) == []


def test_who_subscribes_anew_is_let_in_front_again_once_all_know_who_is_there() -> None:
    own, other = replicas(2)
    members = Members(own=own)
    number = next(n for n, one in first_choices([own, other]).items() if one == other)
    members.hear(present(other, partitions={number: 1}), now=0)
    assert members.to_yield([number], 0) == [number]
    members.hear(present(other, partitions={number: 17}), now=1)
    assert members.to_yield([number], 1) == []
    assert members.to_yield([number], 1 + GONE) == [number]


def test_two_who_see_different_members_do_not_let_go_for_each_other_for_ever() -> None:
    one, other, dead, number = next(
        (*names, number)
        for names in permutations(replicas(8), 3)
        for number in range(PARTITIONS)
        if first_choices(names[:2])[number] == names[1] and first_choices(names)[number] == names[0]
    )
    new, old = Members(own=one), Members(own=other)
    old.hear(present(dead), now=0)  # which the new one never heard
    let_go, subscriptions = 0, {one: 1, other: 1}
    for turn in range(40):
        now = turn / 10
        new.hear(present(other, partitions={number: subscriptions[other]}), now=now)
        old.hear(present(one, partitions={number: subscriptions[one]}), now=now)
        for name, members in ((one, new), (other, old)):
            if members.to_yield([number], now):
                let_go += 1
                subscriptions[name] += 1
    assert let_go == 2


def test_who_is_silent_or_leaves_is_forgotten() -> None:
    own, other, third = replicas(3)
    members = Members(own=own)
    assert members.hear(present(other), now=0)
    assert not members.hear(present(other), now=1)
    members.hear(present(third), now=1)
    members.hear(present(third, leaving=True), now=2)
    assert members.count == 2
    members.forget(now=1 + GONE)
    assert members.count == 2
    members.forget(now=1.1 + GONE)
    assert members.count == 1
    assert {members.first_choice(number) for number in range(PARTITIONS)} == {own}
