"""A ticker says each signal at once, and again at its interval. No clock."""

import asyncio
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest

from shared.contract import Draft, Message, PollRequested
from shared.runtime.errors import TemporaryError
from shared.runtime.ticker import ticker

pytestmark = [pytest.mark.asyncio(loop_scope="function"), pytest.mark.looptime]


class Bus:
    """Hears what is said; may be told to answer otherwise."""

    def __init__(self) -> None:
        self.heard: Counter[str] = Counter()
        self.instead: Callable[[], None] | None = None
        self.hangs = False
        self.others: frozenset[str] = frozenset()

    def is_ours(self, message: Message) -> bool:
        return message.subject not in self.others

    async def tick(self, signal: Draft) -> None:
        self.heard[signal.message.subject] += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.instead:
            self.instead()


def signal(name: str, interval: float = 60) -> tuple[Draft, float]:
    return Draft(message=PollRequested(repository=name)), interval


async def run_for(seconds: float, bus: Bus, due: Callable[[], list[tuple[Draft, float]]]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, stop.set)
    await ticker(bus, due)(stop)


async def test_what_another_replica_ticks_for_is_left_to_it_until_it_is_ours() -> None:
    bus, times = Bus(), []
    bus.others = frozenset({"a"})
    loop = asyncio.get_running_loop()
    loop.call_later(90, lambda: setattr(bus, "others", frozenset()))
    bus.instead = lambda: times.append(loop.time())
    await run_for(140, bus, lambda: [signal("a", 600), signal("b", 6000)])
    assert bus.heard == {"a": 1, "b": 1}
    assert 90 <= times[1] <= 92


async def test_what_nobody_took_is_said_again_soon() -> None:
    bus = Bus()

    def refuse() -> None:
        raise TemporaryError("broker topology", "no queue takes it")

    bus.instead = refuse
    asyncio.get_running_loop().call_later(12, lambda: setattr(bus, "instead", None))
    await run_for(50, bus, lambda: [signal("a", 300)])
    assert 3 <= bus.heard["a"] <= 4


async def test_each_signal_is_said_at_once_and_then_at_its_interval() -> None:
    bus = Bus()

    await run_for(0.5, bus, lambda: [signal("a"), signal("b", 600)])
    assert bus.heard == {"a": 1, "b": 1}

    bus.heard.clear()
    await run_for(605, bus, lambda: [signal("a"), signal("b", 7000)])
    assert 10 <= bus.heard["a"] <= 13
    assert bus.heard["b"] == 1


async def test_a_new_subject_is_noticed_and_one_that_is_gone_is_forgotten() -> None:
    bus, wanted = Bus(), [signal("a", 600)]
    loop = asyncio.get_running_loop()
    loop.call_later(10, lambda: wanted.__setitem__(slice(None), [signal("b", 600)]))
    loop.call_later(20, lambda: wanted.__setitem__(slice(None), [signal("a", 600)]))

    await run_for(30, bus, lambda: wanted)

    assert bus.heard == {"a": 2, "b": 1}


async def test_intervals_are_spread() -> None:
    bus, times = Bus(), []
    loop = asyncio.get_running_loop()
    bus.instead = lambda: times.append(loop.time())

    await run_for(3000, bus, lambda: [signal("a", 100)])

    first, *gaps = [after - before for before, after in pairwise(times)]
    assert 10 <= first <= 102
    assert all(89 <= gap <= 112 for gap in gaps)
    assert len(set(gaps)) > 1


async def test_what_begins_at_once_is_soon_spread_evenly() -> None:
    bus, seconds = Bus(), []
    loop = asyncio.get_running_loop()
    bus.instead = lambda: seconds.append(loop.time())

    await run_for(299, bus, lambda: [signal(str(number), 300) for number in range(500)])

    quarters = Counter(int(second / 75) for second in seconds if second > 1)
    # None comes in the first 30 s: that quarter has the rest of it.
    assert all(quarters[number] > 60 for number in range(4)), quarters


async def test_a_broker_that_is_away_does_not_hold_up_the_end(looptime: float) -> None:
    bus = Bus()
    bus.hangs = True

    await run_for(30, bus, lambda: [signal("a")])

    assert looptime == 30
