"""What the bus promises, on RabbitMQ and on its twin in memory alike."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress

import pytest
from prometheus_client import REGISTRY

from shared.bus import names
from shared.bus.client import Client
from shared.bus.letters import Letter
from shared.bus.port import Handler, NoAnswerError, Outcome, Pace, Window
from shared.contract import (
    PARTITIONS,
    Draft,
    Envelope,
    ImageSpec,
    OrderAccepted,
    OrderCompleted,
    OrderRejected,
    PollRequested,
    ScanRequested,
    TagsListed,
    TagsQuestion,
    UpdatePushed,
    UpdateRequested,
    partition,
)
from shared.runtime.errors import PermanentError, TemporaryError
from tests.contract.brokers import BrokerUnderTest

REPOSITORY = "git.example.com/acme/apps#main"


def poll(repository: str = REPOSITORY, reason: str = "tick") -> Draft:
    return Draft(message=PollRequested(repository=repository, reason=reason))


def order(message: str = "") -> Draft:
    spec = ImageSpec(workloads=("<all>",), image="<all latest>")
    update = UpdateRequested(repository=REPOSITORY, spec=spec, cause={"message": message})
    return Draft(message=update)


@asynccontextmanager
async def working(
    bus: Client, service: str, handler: Handler, window: Window | None = None
) -> AsyncIterator[asyncio.Event]:
    """Run a worker; it drains when the block ends or the event is set."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(bus.worker(service, handler, window=window)(stop))
        try:
            yield stop
        finally:
            stop.set()


class Seen:
    """A handler that notes its groups and waits until it is let go on."""

    def __init__(self, outcome: Outcome | None = None) -> None:
        self.groups: list[tuple[str, list[Envelope]]] = []
        self.running = 0
        self.most = 0
        self.free = asyncio.Event()
        self.free.set()
        self._outcome = outcome or Outcome()
        self._changed = asyncio.Condition()

    async def __call__(self, subject: str, messages: Sequence[Envelope]) -> Outcome:
        self.running += 1
        self.most = max(self.most, self.running)
        async with self._changed:
            self.groups.append((subject, list(messages)))
            self._changed.notify_all()
        try:
            await self.free.wait()
        finally:
            self.running -= 1
        return self._outcome

    async def wait_messages(self, count: int) -> list[Envelope]:
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(lambda: len(self.messages) >= count)
        return self.messages

    @property
    def messages(self) -> list[Envelope]:
        return [message for _, group in self.groups for message in group]


async def first(bus: Client, kind: type, count: int = 1) -> list[Envelope]:
    """Return the first events of a kind in the log."""
    found: list[Envelope] = []
    async with asyncio.timeout(30), aclosing(bus.events(names.LOG)) as events:
        async for _, envelope in events:
            if isinstance(envelope.message, kind):
                found.append(envelope)
            if len(found) == count:
                break
    return found


async def wait_empty(broker: BrokerUnderTest, queue: str) -> None:
    async with asyncio.timeout(30):
        while await broker.depth(queue):
            await asyncio.sleep(0.02)


async def test_messages_of_one_subject_come_in_order_and_fold_into_groups(
    broker: BrokerUnderTest,
) -> None:
    async with broker.connect("/test") as bus:
        seen = Seen()
        seen.free.clear()
        async with working(bus, "git-watcher", seen):
            await bus.publish(poll(reason="0"))
            await seen.wait_messages(1)
            await bus.publish(*[poll(reason=str(n)) for n in range(1, 30)])
            seen.free.set()
            messages = await seen.wait_messages(30)

    assert [m.message.reason for m in messages] == [str(n) for n in range(30)]
    assert len(seen.groups) < 30


async def test_subjects_run_side_by_side_and_each_serially(broker: BrokerUnderTest) -> None:
    async with broker.connect("/test") as bus:
        seen = Seen()
        seen.free.clear()
        async with working(bus, "git-watcher", seen):
            for repository in ("a#main", "b#main", "c#main"):
                await bus.publish(poll(repository), poll(repository))
            await seen.wait_messages(3)
            async with asyncio.timeout(30):
                while seen.running < 3:
                    await asyncio.sleep(0.01)
            assert seen.most == 3
            seen.free.set()
            await seen.wait_messages(6)


async def test_results_are_in_the_log_before_the_message_is_gone(broker: BrokerUnderTest) -> None:
    async with broker.connect("/test") as bus:

        async def handler(subject: str, messages: Sequence[Envelope]) -> Outcome:
            done = OrderCompleted(order="o", about=subject, revision="abc")
            return Outcome(events=(Draft(message=done, cause=messages[0]),))

        async with working(bus, "git-watcher", handler):
            await bus.publish(poll())
            (told,) = await first(bus, OrderCompleted)
            await wait_empty(broker, names.queue("git-watcher", partition(REPOSITORY)))

    assert told.message.revision == "abc"
    assert told.causationid != told.id


async def test_an_order_is_accepted_and_then_completed(broker: BrokerUnderTest) -> None:
    async with broker.connect("/test") as bus, working(bus, "repo-writer", Seen()):
        await bus.publish(Draft(message=order().message, correlationid="job-1"))
        (accepted,) = await first(bus, OrderAccepted)
        (completed,) = await first(bus, OrderCompleted)

    assert accepted.correlationid == completed.correlationid == "job-1"
    assert completed.message.order == accepted.message.order


async def test_an_order_that_cannot_be_done_is_rejected_with_the_reason(
    broker: BrokerUnderTest,
) -> None:
    async def handler(*_: object) -> Outcome:
        raise PermanentError("the repository is read-only")

    async with broker.connect("/test") as bus, working(bus, "repo-writer", handler):
        await bus.publish(order())
        (rejected,) = await first(bus, OrderRejected)

    assert rejected.message.reason == "the repository is read-only"


async def test_one_bad_message_of_a_group_spoils_only_itself(broker: BrokerUnderTest) -> None:
    done = []

    async def handler(_: str, messages: Sequence[Envelope]) -> Outcome:
        if any(m.message.reason == "bad" for m in messages):
            raise PermanentError("bad reason")
        done.extend(m.message.reason for m in messages)
        return Outcome()

    async with broker.connect("/test") as bus:
        await bus.publish(poll(reason="1"), poll(reason="bad"), poll(reason="2"))
        async with working(bus, "git-watcher", handler):
            (letter,) = await broker.wait_dead(1)
            await wait_empty(broker, names.queue("git-watcher", partition(REPOSITORY)))

    assert done == ["1", "2"]
    assert letter["flux-reason"] == "bad reason"
    assert letter["flux-queue"] == names.queue("git-watcher", partition(REPOSITORY))


async def test_a_bug_is_tried_again_and_then_buried_with_its_trace(
    broker: BrokerUnderTest,
) -> None:
    pace, tries = Pace(tries=(0.0, 0.01, 0.02)), []

    async def handler(*_: object) -> Outcome:
        tries.append(1)
        raise ZeroDivisionError("oops")

    async with broker.connect("/test", pace=pace) as bus, working(bus, "git-watcher", handler):
        await bus.publish(poll())
        (letter,) = await broker.wait_dead(1)

    assert len(tries) == 3
    assert letter["flux-reason"] == "ZeroDivisionError: oops"
    assert "handler" in letter["flux-trace"]


@pytest.mark.parametrize(
    ("headers", "body"),
    [({}, b"garbage"), ({"cloudEvents:type": "poll.requested.v1"}, b'{"repository'), ({}, b"")],
)
async def test_garbage_is_buried_at_once_and_the_rest_goes_on(
    broker: BrokerUnderTest, headers: dict, body: bytes
) -> None:
    seen = Seen()
    key = names.routing_key(poll().message)
    async with broker.connect("/test") as bus, working(bus, "git-watcher", seen):
        await broker.inject(names.COMMANDS, key, headers, body)
        await bus.publish(poll())
        (letter,) = await broker.wait_dead(1)
        await seen.wait_messages(1)

    assert letter["flux-reason"]


async def test_a_handler_that_says_what_is_anothers_is_stopped_by_that_alone(
    broker: BrokerUnderTest,
) -> None:
    """The broker would refuse it for ever; so the message that led to it dies at once."""
    pushed = UpdatePushed(
        repository=REPOSITORY, revision="a" * 40, previous="", message="", kind="auto"
    )
    seen = Seen(Outcome(events=(Draft(message=pushed),)))
    async with (
        broker.connect("/test") as bus,
        broker.connect("/git-watcher/1") as watcher,
        working(watcher, "git-watcher", seen),
    ):
        await bus.publish(poll())
        (letter,) = await broker.wait_dead(1)

    assert letter["flux-reason"].startswith("git-watcher may not say update.pushed.v1")


async def test_a_dependency_that_is_down_is_told_once_and_the_work_resumes(
    broker: BrokerUnderTest,
) -> None:
    down, seen = [True], Seen()
    log, away = [], []

    async def handler(subject: str, messages: Sequence[Envelope]) -> Outcome:
        log.append(len(messages))
        if down[0] and len(log) < 4:
            raise TemporaryError("git host git.example.com", "connection refused")
        away.append((bus.away(), bus.problems(), metric()))
        return await seen(subject, messages)

    def metric() -> float | None:
        labels = {"service": "git-watcher", "dependency": "git host git.example.com"}
        return REGISTRY.get_sample_value("flux_dependency_down", labels)

    async with broker.connect("/git-watcher/1", pace=Pace(first_delay=0.02)) as bus:
        async with working(bus, "git-watcher", handler):
            await bus.publish(poll(reason="kept"))
            (message,) = await seen.wait_messages(1)
            await wait_empty(broker, names.queue("git-watcher", partition(REPOSITORY)))
        async with broker.connect("/test") as reader:
            told = [e.type for e in await every(reader)]

    assert message.message.reason == "kept"
    assert told.count("dependency.down.v1") == told.count("dependency.up.v1") == 1
    # It is no problem of ours: others are worked on meanwhile.
    assert away == [({"git host git.example.com": "connection refused"}, {}, 1)]
    assert (bus.away(), bus.problems(), metric()) == ({}, {}, None)


async def test_orders_are_held_in_order_while_a_dependency_is_down(
    broker: BrokerUnderTest,
) -> None:
    down, seen, tried = [True], Seen(), asyncio.Event()
    queue = names.queue("repo-writer", partition(REPOSITORY))

    async def handler(subject: str, messages: Sequence[Envelope]) -> Outcome:
        if down[0]:
            tried.set()
            raise TemporaryError("git host", "away")
        return await seen(subject, messages)

    async with (
        broker.connect("/test", pace=Pace(first_delay=0.05)) as bus,
        working(bus, "repo-writer", handler),
    ):
        await bus.publish(order("1"), order("2"), order("3"))
        async with asyncio.timeout(20):
            await tried.wait()
        await broker.lose_channel(queue)  # what was acknowledged would be gone
        down[0] = False
        messages = await seen.wait_messages(3)
        await first(bus, OrderCompleted, 3)

    assert [one.message.cause.message for one in messages[:3]] == ["1", "2", "3"]


async def every(bus: Client) -> list[Envelope]:
    """Return what the log holds up to now."""
    await bus.publish(Draft(message=OrderAccepted(order="end", about="end")))
    found = []
    async with asyncio.timeout(30), aclosing(bus.events(names.LOG)) as events:
        async for _, envelope in events:
            if getattr(envelope.message, "order", "") == "end":
                break
            found.append(envelope)
    return found


async def test_a_newcomer_is_a_reason_to_try_a_dependency_again(broker: BrokerUnderTest) -> None:
    tries: list[int] = []

    async def down(_: str, messages: Sequence[Envelope]) -> Outcome:
        tries.append(len(messages))
        if len(tries) < 6:  # its pauses would be 0.5, 1, 2, 4 and 8 seconds
            raise TemporaryError("git host", "away")
        return Outcome()

    async with (
        broker.connect("/test", pace=Pace(soonest=0.1)) as bus,
        working(bus, "git-watcher", down),
    ):
        async with asyncio.timeout(12):  # less than its pauses together
            for number in range(6):
                await bus.publish(poll(reason="webhook"))
                while len(tries) <= number:
                    await asyncio.sleep(0.02)


async def test_a_window_gathers_until_it_is_quiet(broker: BrokerUnderTest) -> None:
    seen = Seen()
    window = Window(quiet=1, max_wait=30, at_once=(UpdateRequested,))
    async with broker.connect("/test") as bus, working(bus, "git-watcher", seen, window):
        for n in range(5):
            await bus.publish(poll(reason=str(n)))
        await seen.wait_messages(5)

    assert len(seen.groups) == 1


async def test_a_window_takes_as_many_as_it_is_to_gather(broker: BrokerUnderTest) -> None:
    seen, published = Seen(), [poll(reason=str(n)) for n in range(450)]
    window = Window(quiet=1, max_wait=30, most=500)
    async with broker.connect("/test") as bus:
        await bus.publish(*published)
        async with working(bus, "git-watcher", seen, window):
            await seen.wait_messages(len(published))

    assert len(seen.groups) == 1


async def test_a_window_for_bursts_gathers_behind_the_first_and_holds_up_no_single_one(
    broker: BrokerUnderTest,
) -> None:
    def of_a_burst(gathered: Sequence[Envelope]) -> float:
        return 3600.0 if any(one.message.reason == "burst" for one in gathered) else 0.0

    def quiet(gathered: Sequence[Envelope]) -> float:
        return 0.5 if len(gathered) == 10 else 3600.0

    window = Window(longer=quiet, max_wait=3600, soon=of_a_burst, first=2)
    async with broker.connect("/test") as bus:
        seen = Seen()
        async with working(bus, "git-watcher", seen, window=window):
            for number in (1, 2):
                await bus.publish(poll(reason="burst"))
                await seen.wait_messages(number)
            await bus.publish(*(poll(reason="burst") for _ in range(10)))
            await seen.wait_messages(12)
            for number in (13, 14, 15):
                await bus.publish(poll(reason="alone"))
                await seen.wait_messages(number)
    assert [len(group) for _, group in seen.groups] == [1, 1, 10, 1, 1, 1]


async def test_a_window_closes_at_once_for_a_persons_order(broker: BrokerUnderTest) -> None:
    seen = Seen()
    window = Window(quiet=60, max_wait=60, at_once=(UpdateRequested,))
    async with broker.connect("/test") as bus, working(bus, "repo-writer", seen, window):
        await bus.publish(order())
        await seen.wait_messages(1)


async def test_a_message_in_hand_is_finished_on_stop(broker: BrokerUnderTest) -> None:
    seen = Seen()
    seen.free.clear()
    queue = names.queue("git-watcher", partition(REPOSITORY))
    async with broker.connect("/test") as bus:
        async with working(bus, "git-watcher", seen) as stop:
            await bus.publish(poll())
            await seen.wait_messages(1)
            await bus.publish(poll(reason="later"))
            stop.set()
            await asyncio.sleep(0.05)
            assert seen.running == 1
            seen.free.set()
        assert len(seen.messages) == 1
        async with working(bus, "git-watcher", seen):
            messages = await seen.wait_messages(2)
            await wait_empty(broker, queue)

    assert messages[1].message.reason == "later"


async def test_losing_the_channel_cancels_its_work_and_brings_it_again(
    broker: BrokerUnderTest,
) -> None:
    seen = Seen()
    seen.free.clear()
    queue = names.queue("git-watcher", partition(REPOSITORY))
    async with broker.connect("/test") as bus, working(bus, "git-watcher", seen):
        await bus.publish(poll())
        await seen.wait_messages(1)
        await broker.lose_channel(queue)
        again = await seen.wait_messages(2)
        assert seen.running == 1
        seen.free.set()
        await wait_empty(broker, queue)

    assert again[0].id == again[1].id


async def test_a_question_is_answered_or_times_out_with_a_sentence(
    broker: BrokerUnderTest,
) -> None:
    async def answer(subject: str, messages: Sequence[Envelope]) -> Outcome:
        return Outcome(
            events=tuple(Draft(message=TagsListed(image=subject), cause=m) for m in messages)
        )

    question = TagsQuestion(image="ghcr.io/acme/web")
    async with broker.connect("/test") as bus:
        with pytest.raises(NoAnswerError, match="is registry-scanner running"):
            await bus.ask(question, timeout=0.2)
        async with working(bus, "registry-scanner", answer):
            assert await bus.ask(question, timeout=10) == TagsListed(image="ghcr.io/acme/web")
        assert await letters_of(bus, 0) == []


async def test_a_stream_is_read_from_an_offset_and_then_live(broker: BrokerUnderTest) -> None:
    async with broker.connect("/test") as bus:
        await bus.append("default.apps", [({"part": str(n)}, b"x") for n in range(5)])
        async with asyncio.timeout(30), aclosing(bus.read("flux.state.default.apps")) as records:
            found = [await anext(records) for _ in range(5)]
            await bus.append("default.apps", [({"part": "5"}, b"y")])
            found.append(await anext(records))
        async with (
            asyncio.timeout(30),
            aclosing(bus.read("flux.state.default.apps", found[3].offset)) as records,
        ):
            again = await anext(records)

    assert [record.headers["part"] for record in found] == list("012345")
    assert again.offset == found[3].offset


SUBJECTS = {partition(f"r{number}#main"): f"r{number}#main" for number in range(200)}
"""A subject for each partition."""


async def shares(bus: Client, replicas: dict[str, "Seen"]) -> dict[str, int]:
    """Have something done in each partition; return how many each replica got."""
    for seen in replicas.values():
        seen.groups.clear()
    await bus.publish(*(poll(subject) for subject in SUBJECTS.values()))
    async with asyncio.timeout(30):
        while sum(len(seen.messages) for seen in replicas.values()) < PARTITIONS:
            await asyncio.sleep(0.02)
    return {name: len(seen.messages) for name, seen in replicas.items()}


async def wait_shares(bus: Client, replicas: dict[str, "Seen"], wanted: list[int]) -> None:
    found: dict[str, int] = {}
    try:
        async with asyncio.timeout(30):
            while sorted((found := await shares(bus, replicas)).values()) != wanted:
                await asyncio.sleep(0.1)
    except TimeoutError as error:
        raise AssertionError(f"{found} instead of {wanted}") from error


@asynccontextmanager
async def replica(broker: BrokerUnderTest, name: str) -> AsyncIterator[Seen]:
    seen = Seen()
    async with broker.connect(f"/git-watcher/{name}") as bus, working(bus, "git-watcher", seen):
        yield seen


async def test_partitions_are_spread_evenly_whoever_comes_and_goes(
    broker: BrokerUnderTest,
) -> None:
    assert len(SUBJECTS) == PARTITIONS
    async with broker.connect("/test") as bus, AsyncExitStack() as stack:
        one = await stack.enter_async_context(replica(broker, "one"))
        await wait_shares(bus, {"one": one}, [16])
        async with replica(broker, "two") as two:
            await wait_shares(bus, {"one": one, "two": two}, [8, 8])
            three = await stack.enter_async_context(replica(broker, "three"))
            await wait_shares(bus, {"one": one, "two": two, "three": three}, [5, 5, 6])
        await wait_shares(bus, {"one": one, "three": three}, [8, 8])


async def test_a_partition_is_handed_over_without_overlap(broker: BrokerUnderTest) -> None:
    """What the old one has in hand is finished before the new one begins with that subject."""
    running: dict[str, int] = {}
    overlaps: list[str] = []

    async def slow(subject: str, _: Sequence[Envelope]) -> Outcome:
        running[subject] = running.get(subject, 0) + 1
        overlaps.extend([subject] if running[subject] > 1 else [])
        await asyncio.sleep(0.3)
        running[subject] -= 1
        return Outcome()

    async with broker.connect("/test") as bus, AsyncExitStack() as stack:
        for name in ("one", "two", "three"):
            link = await stack.enter_async_context(broker.connect(f"/git-watcher/{name}"))
            await stack.enter_async_context(working(link, "git-watcher", slow))
            for _ in range(10):
                await bus.publish(*(poll(subject) for subject in SUBJECTS.values()))
                await asyncio.sleep(0.1)
        for queue in range(PARTITIONS):
            await wait_empty(broker, f"git-watcher.{queue}")
    assert overlaps == []


async def test_the_standby_takes_over_when_the_active_one_leaves(broker: BrokerUnderTest) -> None:
    one, two = Seen(), Seen()
    async with broker.connect("/a") as first_bus, broker.connect("/b") as second_bus:
        async with working(first_bus, "registry-scanner", one):
            await first_bus.publish(Draft(message=ScanRequested(image="a")))
            await one.wait_messages(1)
            async with working(second_bus, "registry-scanner", two) as stop_two:
                assert not stop_two.is_set()
        async with working(second_bus, "registry-scanner", two):
            await first_bus.publish(Draft(message=ScanRequested(image="a")))
            await two.wait_messages(1)


class Refusing:
    """A handler that can't do anything until it is told that it can."""

    def __init__(self) -> None:
        self.able = False
        self.done: list[Envelope] = []

    async def __call__(self, _: str, messages: Sequence[Envelope]) -> Outcome:
        if not self.able:
            raise PermanentError("not today")
        self.done += messages
        return Outcome()


async def letters_of(bus: Client, count: int) -> list[Letter]:
    async with asyncio.timeout(30):
        while True:
            with suppress(TemporaryError):  # not connected yet
                async with bus.dead_letters() as letters:
                    found = [one async for one in letters]
                if len(found) == count:
                    return found
            await asyncio.sleep(0.05)


async def test_dead_letters_tell_why_and_stay_though_they_were_looked_at(
    broker: BrokerUnderTest,
) -> None:
    async with broker.connect("/test") as bus, working(bus, "git-watcher", Refusing()):
        await broker.inject(names.COMMANDS, f"poll.requested.v1.{partition(REPOSITORY)}", {}, b"?")
        await bus.publish(poll())
        found = await letters_of(bus, 2)
        assert [one.id for one in await letters_of(bus, 2)] == [one.id for one in found]
    unreadable, refused = sorted(found, key=lambda one: one.type)
    assert "'type' is missing" in unreadable.reason
    assert (refused.type, refused.subject) == ("poll.requested.v1", REPOSITORY)
    assert (refused.source, refused.reason, refused.tries) == ("/test", "not today", "1")
    assert refused.queue == f"git-watcher.{partition(REPOSITORY)}"
    assert refused.first <= refused.buried
    assert "PermanentError" in refused.trace


async def test_the_depth_of_a_queue_is_told(broker: BrokerUnderTest) -> None:
    async with (
        broker.connect("/gateway/1") as gateway,
        broker.connect("/test") as bus,
        working(bus, "git-watcher", Refusing()),
    ):
        await letters_of(gateway, 0)
        assert await gateway.depth(names.DEAD) == 0
        await bus.publish(poll(), poll("other#main"))
        async with asyncio.timeout(30):
            while await gateway.depth(names.DEAD) != 2:
                await asyncio.sleep(0.05)


async def test_a_replayed_dead_letter_goes_to_its_own_queue_and_to_nobody_else(
    broker: BrokerUnderTest,
) -> None:
    handler = Refusing()
    async with broker.connect("/test") as bus, working(bus, "git-watcher", handler):
        pushed = UpdatePushed(
            repository=REPOSITORY, revision="a" * 40, previous="", message="", kind="auto"
        )
        await bus.publish(Draft(message=pushed))
        await letters_of(bus, 1)
        handler.able = True
        async with bus.dead_letters() as letters:
            await bus.replay(await anext(letters), by="Ana")
        assert await letters_of(bus, 0) == []
        async with asyncio.timeout(30):
            while not handler.done:
                await asyncio.sleep(0.02)
        assert handler.done[0].message == pushed
        await bus.publish(Draft(message=pushed.model_copy(update={"revision": "b" * 40})))
        told = await first(bus, UpdatePushed, 2)
    assert [one.message.revision[0] for one in told] == ["a", "b"]


async def test_a_dropped_dead_letter_is_gone_and_the_others_stay(broker: BrokerUnderTest) -> None:
    async with broker.connect("/test") as bus, working(bus, "git-watcher", Refusing()):
        await bus.publish(poll(), poll("other#main"))
        await letters_of(bus, 2)
        async with bus.dead_letters() as letters:
            await (await anext(letters)).drop()
            kept = (await anext(letters)).id
        assert [one.id for one in await letters_of(bus, 1)] == [kept]
