"""Who of a kind goes when: a webhook that hangs is met once, and holds up what it selects alone."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from services.cluster_applier.domain.selection import Selected
from services.cluster_applier.turns import BESIDE, ENOUGH, SLOW, Hung, Turns
from shared.manifests import ObjectId

pytestmark = [pytest.mark.asyncio(loop_scope="function"), pytest.mark.looptime]

HOOK = "h.example.com"
AT_ONCE = 16


def some(count: int, kind: str = "Secret") -> list[ObjectId]:
    return [ObjectId.parse(f"{kind} n/{number:03}") for number in range(count)]


@dataclass(kw_only=True)
class World:
    """Objects of one cluster, and a round of changes by which all of them are tried."""

    hooks: dict[str, Collection[ObjectId]] = field(default_factory=dict)
    """By name of a webhook that hangs: whom it is asked about."""
    seems: Callable[[str, ObjectId], Selected] | None = None
    """What its configuration says, where that is something else."""
    broken: Collection[ObjectId] = ()
    """They fail whatever others do."""
    lasts: float = 10.0
    """Seconds for which one that fails is waited for."""
    met: Counter[str] = field(default_factory=Counter)
    done: set[ObjectId] = field(default_factory=set)
    held: dict[ObjectId, str] = field(default_factory=dict)

    async def round(self, objects: Collection[ObjectId], before: Hung | None = None) -> Hung:
        turns, slots = Turns[ObjectId](before), asyncio.Semaphore(AT_ONCE)
        self.met.clear()
        self.held.clear()

        async def one(named: ObjectId) -> None:
            async with slots:
                lane = await turns.lane(named, named, self._selects)
                if reason := turns.reason_to_hold(lane):
                    self.held[named] = reason
                elif not turns.put_aside(lane, named):
                    with turns.taken(lane, named):
                        await self._send(turns, named)

        todo = sorted((one for one in objects if one not in self.done), key=turns.order)
        while todo:
            async with asyncio.TaskGroup() as group:
                for named in todo:
                    group.create_task(one(named))
            todo = turns.due()
        return turns.hung

    async def _selects(self, hook: str, named: ObjectId) -> Selected:
        await asyncio.sleep(0)
        if self.seems:
            return self.seems(hook, named)
        return Selected(yes=named in self.hooks.get(hook, ()))

    async def _send(self, turns: Turns[ObjectId], named: ObjectId) -> None:
        for hook, asked in self.hooks.items():
            if named in asked:
                self.met[hook] += 1
                await asyncio.sleep(self.lasts)
                turns.failed(named, hook)
                return
        if named in self.broken:
            self.met["broken"] += 1
            await asyncio.sleep(self.lasts)
            turns.failed(named)
            return
        await asyncio.sleep(0.01)
        turns.answered(named)
        self.done.add(named)


async def test_one_meets_it_and_all_that_it_does_not_select_go_on_in_the_same_round() -> None:
    objects = some(300)
    world = World(hooks={HOOK: objects[:100]})
    await world.round(objects)

    assert world.met[HOOK] == 1
    assert world.done == set(objects[100:])
    assert set(world.held) == set(objects[1:100])
    assert set(world.held.values()) == {f"not tried: the webhook {HOOK} does not answer"}


async def test_in_later_rounds_one_of_all_its_kinds_meets_it_and_another_each_time() -> None:
    objects = [*some(40), *some(40, "ServiceAccount"), *some(40, "apps/Deployment")]
    world = World(hooks={HOOK: objects})
    hung = await world.round(objects)
    assert world.met[HOOK] == 3, "once for each kind"
    tried: list[str] = []
    for _ in range(20):
        before = hung.times.copy()
        hung = await world.round(objects, hung)
        assert world.met[HOOK] == 1
        tried += (hung.times - before).elements()
    assert len(set(tried)) == len(tried), "nobody twice while others were not tried"

    world.hooks.clear()
    await world.round(objects, hung)
    assert world.done == set(objects)


async def test_of_those_under_way_all_meet_it_and_nobody_after_them() -> None:
    objects = some(200)
    world = World(hooks={HOOK: objects[100:]})
    hung = await world.round(objects)
    assert 1 < world.met[HOOK] <= AT_ONCE
    await world.round(objects, hung)
    assert world.met[HOOK] == 1


async def test_two_webhooks_hold_up_each_its_own() -> None:
    objects = some(90)
    other = "other.example.com"
    world = World(hooks={HOOK: objects[:30], other: objects[30:60]})
    hung = await world.round(objects)
    assert (world.met[HOOK], world.met[other]) == (1, 1)
    assert world.done == set(objects[60:])
    await world.round(objects, hung)
    assert (world.met[HOOK], world.met[other]) == (1, 1)
    assert set(world.held) == {*objects[:60]} - {objects[1], objects[31]}


async def test_where_it_meets_what_it_seems_not_to_select_its_kind_waits_as_a_whole() -> None:
    objects = some(100)
    world = World(hooks={HOOK: objects}, seems=lambda _, named: Selected(yes=named == objects[0]))
    hung = await world.round(objects)
    assert world.met[HOOK] == 2
    assert not world.done
    await world.round(objects, hung)
    assert world.met[HOOK] == 2


async def test_where_it_can_not_be_told_whom_it_selects_that_is_said_and_each_gets_a_turn() -> None:
    objects = some(20)
    unknown = Selected(yes=True, unknown="forbidden")
    world = World(hooks={HOOK: objects[:1]}, seems=lambda *_: unknown)
    hung = await world.round(objects)
    (said,) = set(world.held.values())
    assert said.endswith("which objects it selects can't be told: forbidden")
    await world.round(objects, hung)
    assert world.done == set(objects[1:])


async def test_those_that_fail_by_themselves_hold_up_nobody_for_more_than_a_round() -> None:
    objects = some(50)
    world = World(broken=objects[: 2 * ENOUGH], lasts=0.01)
    hung = await world.round(objects)
    assert world.met["broken"] == ENOUGH
    assert set(world.held.values()) == {"not tried: other objects of kind Secret failed"}
    for _ in range(2):
        hung = await world.round(objects, hung)
    assert world.done == set(objects[2 * ENOUGH :])


async def test_where_the_first_takes_its_time_and_fails_no_other_waits_as_long() -> None:
    objects = some(50)
    world = World(broken=objects)
    hung = await world.round(objects)
    assert world.met["broken"] == 1
    world.broken = objects[:1]
    await world.round(objects, hung)
    assert world.done == set(objects[1:])


async def test_after_a_round_in_which_nothing_failed_nobody_goes_last() -> None:
    objects = some(5)
    world = World(broken=objects[:1], lasts=0.01)
    hung = await world.round(objects)
    assert hung.times
    world.broken = ()
    hung = await world.round(objects, hung)
    assert not hung.troubled
    assert Turns[ObjectId](hung).order(objects[0]) == 0


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_hangs_each_object_ends_and_what_nothing_selects_is_done(seed: int) -> None:
    chance = random.Random(seed)
    objects = [*some(60), *some(60, "Service"), *some(60, "apps/Deployment")]
    names = [f"h{number}.example.com" for number in range(chance.randint(1, 3))]
    hooks = {name: set(chance.sample(objects, chance.randint(1, 120))) for name in names}
    world = World(hooks=hooks)
    hung = await world.round(objects)
    for name in names:
        assert world.met[name] <= 3 * AT_ONCE, "of each kind those under way"
    for _ in range(3):
        hung = await world.round(objects, hung)
        # One that several select goes in the lane of one, and is met by whichever is asked first.
        assert sum(world.met.values()) <= len(names)
    assert world.done == set(objects) - set().union(*hooks.values())
    assert len(world.done) + len(world.held) + sum(world.met.values()) == len(objects)


async def test_beside_one_that_is_slow_one_more_goes_and_where_all_is_well_some() -> None:
    turns, named = Turns[ObjectId](), some(2 * BESIDE)
    with ExitStack() as stack:
        stack.enter_context(turns.taken(("", "Secret"), named[0]))
        await asyncio.sleep(2 * SLOW)
        assert not turns.put_aside(("", "Secret"), named[1], beside=True)
        with turns.taken(("", "Secret"), named[1], beside=True):
            assert turns.put_aside(("", "Secret"), named[2], beside=True)
        assert not turns.put_aside(("", "Secret"), named[3], beside=True)
        assert turns.one_beside() == named[2]
        turns.answered(named[0])
    with ExitStack() as stack:
        for one in named[:BESIDE]:
            assert not turns.put_aside(("", "Secret"), one, beside=True)
            stack.enter_context(turns.taken(("", "Secret"), one, beside=True))
        assert turns.put_aside(("", "Secret"), named[-1], beside=True)
    assert (turns.one_beside(), turns.one_beside(), turns.due()) == (named[-1], None, [])
