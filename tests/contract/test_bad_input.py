"""What is wrong with a message ends it alone: told why, counted, and the work goes on."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from aiormq.exceptions import ChannelPreconditionFailed
from prometheus_client import REGISTRY

from shared.bus import names
from shared.bus.port import Outcome
from shared.contract import (
    Draft,
    Envelope,
    HeadTold,
    PollRequested,
    ScanFailed,
    TagsListed,
    TagsQuestion,
    UpdatePushed,
    partition,
)
from shared.contract.codec import LARGEST, encode
from tests.contract.brokers import BrokerUnderTest
from tests.contract.test_bus import REPOSITORY, Seen, every, order, poll, wait_empty, working

POLL = poll().message
KEY = names.routing_key(POLL)
QUEUE = names.queue("git-watcher", partition(REPOSITORY))
QUESTION = TagsQuestion(image="web")
CONTENT = "git-watcher", "content-type"
HEADERS, BODY = encode(poll().sealed("/gateway/1"))


def with_attribute(name: str, value: object) -> Mapping[str, object]:
    return {**HEADERS, f"cloudEvents:{name}": value}


def counted(place: str, flaw: str) -> float:
    labels = {"place": place, "flaw": flaw}
    return REGISTRY.get_sample_value("flux_bus_bad_messages_total", labels) or 0.0


MANY_HEADERS = {f"x{number:03}": "y" * 125 for number in range(969)}
"""As many as one frame of 128 KiB takes: with ours they would not fit."""


BAD: tuple[tuple[str, Mapping[str, object], bytes, str], ...] = (
    ("type", {}, b"garbage", "'type' is missing"),
    ("type", {"cloudEvents:type": 5}, b"", "'type' is int"),
    ("type", with_attribute("type", "poll.requested.v9"), BODY, "unknown type"),
    ("type", MANY_HEADERS, b"x", "'type' is missing"),
    ("attribute", with_attribute("time", "yesterday"), BODY, "no RFC 3339 time"),
    ("attribute", with_attribute("source", "x" * 300), BODY, "'source' must be printable"),
    ("body", HEADERS, BODY[:-2], "Invalid JSON"),
    ("body", HEADERS, b"\xff\xfe", "Invalid JSON"),
    ("body", HEADERS, b'{"repository": 5}', "repository: Input should be a valid string"),
    ("body", HEADERS, b'{"repository": "%s"}' % (b"r" * 5_000), "its subject must have"),
    ("size", HEADERS, b" " * (LARGEST + 1), f"12000001 bytes, {LARGEST} are allowed"),
    ("route", with_attribute("type", "tags.question.v1"), b'{"image": "a"}', "is not for"),
    ("route", HEADERS, b'{"repository": "other"}', "came by the key"),
)
"""The flaw that is counted, headers and body, and a part of the reason."""


async def test_a_bad_message_is_buried_with_its_reason_and_the_work_goes_on(
    broker: BrokerUnderTest,
) -> None:
    seen, flaws = Seen(), Counter(flaw for flaw, *_ in BAD)
    before = {flaw: counted("git-watcher", flaw) for flaw in flaws}
    async with broker.connect("/test") as bus, working(bus, "git-watcher", seen):
        for _, headers, body, _ in BAD:
            await broker.inject(names.COMMANDS, KEY, headers, body)
        await bus.publish(poll())
        letters = await broker.wait_dead(len(BAD))
        await seen.wait_messages(1)
        await wait_empty(broker, QUEUE)

    assert len(seen.messages) == 1
    for letter, (*_, reason) in zip(letters, BAD, strict=True):
        assert reason in letter["flux-reason"]
        assert letter["flux-queue"] == QUEUE
    assert {one: counted("git-watcher", one) - before[one] for one in flaws} == flaws


async def test_twenty_megabytes_are_buried_or_refused_by_the_broker(
    broker: BrokerUnderTest,
) -> None:
    seen = Seen()
    async with broker.connect("/test") as bus, working(bus, "git-watcher", seen):
        try:
            await broker.inject(names.COMMANDS, KEY, HEADERS, b" " * 20_000_000)
        except ChannelPreconditionFailed:
            pass  # RabbitMQ 4 takes 16 MiB at most
        else:
            (letter,) = await broker.wait_dead(1)
            assert f"20000000 bytes, {LARGEST} are allowed" in letter["flux-reason"]
        await bus.publish(poll())
        await seen.wait_messages(1)


async def test_a_body_that_is_too_large_is_not_kept_whole(broker: BrokerUnderTest) -> None:
    async with broker.connect("/test") as bus, working(bus, "git-watcher", Seen()):
        await broker.inject(names.COMMANDS, KEY, HEADERS, b" " * (LARGEST + 1))
        (letter,) = await broker.wait_dead(1)

    assert letter["flux-cut"] == "the first 64000 of 12000001 bytes are kept"


async def test_what_is_no_json_by_its_content_type_is_refused(broker: BrokerUnderTest) -> None:
    kinds, before = ("text/plain", "application/x-protobuf", "\t", "x" * 200), counted(*CONTENT)
    async with broker.connect("/test") as bus, working(bus, "git-watcher", Seen()):
        for kind in kinds:
            await broker.inject(names.COMMANDS, KEY, HEADERS, BODY, content_type=kind)
        letters = await broker.wait_dead(len(kinds))

    assert all("is no JSON" in letter["flux-reason"] for letter in letters)
    assert counted(*CONTENT) == before + len(kinds)


async def test_a_word_that_nobody_knows_yet_is_no_mistake(broker: BrokerUnderTest) -> None:
    pushed = UpdatePushed(
        repository=REPOSITORY, revision="a" * 40, previous="", message="", kind="new kind"
    )
    seen = Seen()
    async with broker.connect("/test") as bus, working(bus, "git-watcher", seen):
        await bus.publish(poll(reason="never heard of"), Draft(message=pushed))
        came = await seen.wait_messages(2)

    assert pushed in [one.message for one in came]


LIARS = (
    ("gateway", False, "/gateway/1", "it has no user_id"),
    ("cluster-applier", True, "/gateway/1", "said poll.requested.v1 as '/gateway/1'"),
    ("cluster-applier", True, "gateway", "said poll.requested.v1 as 'gateway'"),
    ("cluster-applier", True, "/somebody", "said poll.requested.v1 as '/somebody'"),
)
"""Who says it, whether the broker is told so, who it is from, and a part of the reason."""


async def test_who_is_not_who_he_says_is_not_heard(broker: BrokerUnderTest) -> None:
    seen, before = Seen(), counted("git-watcher", "sender")
    async with broker.connect("/git-watcher/1") as bus, working(bus, "git-watcher", seen):
        for service, is_named, source, _ in LIARS:
            headers = with_attribute("source", source)
            await broker.inject(
                names.COMMANDS, KEY, headers, BODY, service=service, is_named=is_named
            )
        letters = await broker.wait_dead(len(LIARS))
        await broker.inject(names.COMMANDS, KEY, HEADERS, BODY, service="gateway")
        await seen.wait_messages(1)

    for letter, (*_, reason) in zip(letters, LIARS, strict=True):
        assert reason in letter["flux-reason"]
    assert counted("git-watcher", "sender") == before + len(LIARS)
    assert len(seen.messages) == 1


async def test_what_an_operator_lets_others_say_is_heard(broker: BrokerUnderTest) -> None:
    seen = Seen()
    async with broker.connect("/git-watcher/1") as bus, working(bus, "git-watcher", seen):
        await broker.inject(names.COMMANDS, KEY, with_attribute("source", "/ci"), BODY)
        await seen.wait_messages(1)


async def test_a_letter_that_the_gateway_replays_is_taken_whoever_said_it(
    broker: BrokerUnderTest,
) -> None:
    seen = Seen()
    async with broker.connect("/git-watcher/1") as bus, working(bus, "git-watcher", seen):
        headers = with_attribute("source", "/cluster-applier/1")
        await broker.inject(names.REPLAY, QUEUE, headers, BODY, service="gateway")
        await seen.wait_messages(1)
        other, body = encode(order().sealed("/gateway/1"))
        await broker.inject(names.REPLAY, QUEUE, other, body, service="gateway")
        (letter,) = await broker.wait_dead(1)

    assert "is not for git-watcher" in letter["flux-reason"]


async def test_the_time_that_is_told_decides_nothing(broker: BrokerUnderTest) -> None:
    moments, seen = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"), Seen()
    async with broker.connect("/test") as bus, working(bus, "git-watcher", seen):
        for moment in moments:
            await broker.inject(names.COMMANDS, KEY, with_attribute("time", moment), BODY)
        await bus.publish(poll(reason="later"))
        messages = await seen.wait_messages(3)

    assert [one.message.reason for one in messages] == ["tick", "tick", "later"]


async def test_a_question_is_answered_whatever_the_clock_of_who_asks(
    broker: BrokerUnderTest,
) -> None:
    seen = Seen()
    async with broker.connect("/test") as bus, working(bus, "registry-scanner", seen):
        for hours in (-5, 5):
            now = datetime.now(UTC) + timedelta(hours=hours)
            headers, body = encode(asked(now, now + timedelta(seconds=20)))
            await broker.inject(names.COMMANDS, names.routing_key(QUESTION), headers, body)
        await seen.wait_messages(2)


def asked(moment: datetime, deadline: datetime) -> Envelope:
    return replace(Draft(message=QUESTION).sealed("/test"), time=moment, deadline=deadline)


async def test_a_question_whose_time_is_over_is_passed_over(broker: BrokerUnderTest) -> None:
    seen, now = Seen(), datetime.now(UTC)
    headers, body = encode(asked(now, now - timedelta(seconds=1)))
    async with broker.connect("/test") as bus, working(bus, "registry-scanner", seen):
        await broker.inject(names.COMMANDS, names.routing_key(QUESTION), headers, body)
        await wait_empty(broker, names.queue("registry-scanner", partition("web")))

    assert not seen.messages


async def test_a_bad_record_of_the_log_is_passed_over_and_counted(broker: BrokerUnderTest) -> None:
    said = ScanFailed(image="web", reason="gone")
    headers, body = encode(Draft(message=said).sealed("/registry-scanner/1"))
    key = names.routing_key(said)
    flaws = ("type", "body", "route")
    before = [counted(names.LOG, flaw) for flaw in flaws]
    async with broker.connect("/test") as bus:
        await broker.inject(names.EVENTS, key, {}, b"garbage")
        await broker.inject(names.EVENTS, key, headers, body[:-1])
        # What the broker lets through as a scan's end claims to be something else.
        await broker.inject(names.EVENTS, "scan.completed.v1.3", headers, body)
        await broker.inject(names.EVENTS, key, headers, body)
        log = await every(bus)

    assert [one.message for one in log] == [said]
    assert [counted(names.LOG, flaw) for flaw in flaws] == [one + 1 for one in before]


async def test_bad_replies_and_announcements_are_passed_over_and_counted(
    broker: BrokerUnderTest,
) -> None:
    wanted = {one: counted(one, "type") + 1 for one in (names.REPLIES, names.PRESENCE)}

    async def answer(_: str, messages: Sequence[Envelope]) -> Outcome:
        address = messages[0].reply_to
        await broker.inject(names.REPLIES, f"tags.listed.v1.{address}", {}, b"garbage")
        return Outcome(events=(Draft(message=TagsListed(image="web"), cause=messages[0]),))

    async with broker.connect("/test") as bus, working(bus, "registry-scanner", answer):
        assert await bus.ask(QUESTION, timeout=20) == TagsListed(image="web")
        async with asyncio.timeout(30):
            # Nothing is kept for who does not listen yet.
            while any(counted(place, "type") < count for place, count in wanted.items()):
                await broker.inject(names.PRESENCE, "registry-scanner", {}, b"garbage")
                await asyncio.sleep(0.05)


async def test_an_answer_to_another_question_is_none(broker: BrokerUnderTest) -> None:
    other = HeadTold(repository=REPOSITORY, revision="a" * 40)

    async def answer(_: str, messages: Sequence[Envelope]) -> Outcome:
        replies = other, TagsListed(image="web")
        return Outcome(events=tuple(Draft(message=one, cause=messages[0]) for one in replies))

    async with broker.connect("/test") as bus, working(bus, "registry-scanner", answer):
        assert await bus.ask(QUESTION, timeout=20) == TagsListed(image="web")


async def test_what_is_too_large_to_be_read_is_not_said(broker: BrokerUnderTest) -> None:
    huge = PollRequested(repository=REPOSITORY, reason="x" * (LARGEST + 1))
    async with broker.connect("/test") as bus:
        with pytest.raises(Exception, match="are allowed; declare less"):
            await bus.publish(Draft(message=huge))
        async with aclosing(bus.events(names.LOG)):
            assert await broker.depth(QUEUE) == 0
