"""What a stage says to itself goes past the broker, where the broker has given it the partition."""

import asyncio
from collections.abc import Sequence

from prometheus_client import REGISTRY

from shared.bus import names
from shared.bus.port import Outcome
from shared.contract import Envelope, partition
from tests.contract.brokers import BrokerUnderTest
from tests.contract.test_bus import REPOSITORY, Seen, poll, wait_empty, working

QUEUE = names.queue("git-watcher", partition(REPOSITORY))


def published() -> float:
    labels = {"type": "poll.requested.v1"}
    return REGISTRY.get_sample_value("flux_bus_published_total", labels) or 0.0


async def test_the_first_signal_goes_by_the_broker_and_the_next_ones_past_it(
    broker: BrokerUnderTest,
) -> None:
    async with broker.connect("/test") as bus:
        seen, before = Seen(), published()
        async with working(bus, "git-watcher", seen):
            for number in range(1, 5):
                await bus.tick(poll(reason=str(number)))
                await seen.wait_messages(number)
        assert [one.message.reason for one in seen.messages] == list("1234")
        assert published() - before == 1


async def test_what_comes_past_the_broker_is_worked_on_serially_with_the_rest(
    broker: BrokerUnderTest,
) -> None:
    async with broker.connect("/test") as bus:
        seen = Seen()
        async with working(bus, "git-watcher", seen):
            await bus.tick(poll())
            await seen.wait_messages(1)
            seen.free.clear()
            await bus.publish(poll(reason="webhook"))
            await seen.wait_messages(2)
            for _ in range(3):
                await bus.tick(poll())
            await asyncio.sleep(0.05)
            assert len(seen.messages) == 2
            seen.free.set()
            await seen.wait_messages(5)
        assert seen.most == 1
        assert [len(group) for _, group in seen.groups] == [1, 1, 3]


async def test_who_has_the_partition_no_more_says_it_by_the_broker(
    broker: BrokerUnderTest,
) -> None:
    async with broker.connect("/test/1") as one, broker.connect("/test/2") as two:
        mine, others = Seen(), Seen()
        async with working(one, "git-watcher", mine):
            for number in range(1, 4):
                await one.tick(poll())
                await mine.wait_messages(number)
        async with working(two, "git-watcher", others):
            await one.tick(poll(reason="later"))
            await others.wait_messages(1)
        assert (len(mine.messages), others.messages[0].message.reason) == (3, "later")


async def test_a_lost_channel_is_no_place_for_signals(broker: BrokerUnderTest) -> None:
    cut, leaves = asyncio.Event(), asyncio.Event()

    class Slow(Seen):
        """Takes its time to end when it is cancelled."""

        async def __call__(self, subject: str, messages: Sequence[Envelope]) -> Outcome:
            try:
                return await super().__call__(subject, messages)
            except asyncio.CancelledError:
                cut.set()
                await leaves.wait()
                raise

    async with broker.connect("/test") as bus:
        seen = Slow()
        async with working(bus, "git-watcher", seen):
            await bus.tick(poll())
            await seen.wait_messages(1)
            seen.free.clear()
            await bus.tick(poll())
            await seen.wait_messages(2)
            await broker.lose_channel(QUEUE)
            async with asyncio.timeout(30):
                await cut.wait()
            seen.free.set()
            saying = asyncio.create_task(bus.tick(poll(reason="after")))
            await asyncio.sleep(0.05)
            leaves.set()
            await saying
            await seen.wait_messages(3)
            await wait_empty(broker, QUEUE)
        assert seen.messages[-1].message.reason == "after"
