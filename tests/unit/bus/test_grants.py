"""What each service may do on the broker follows from who says what."""

import re

import pytest

from shared.bus import names
from shared.bus.grants import ForbiddenError, check, grant, service_of
from shared.contract import Draft, PollRequested
from shared.contract.registry import MESSAGES, PUBLISHERS, SERVICES

SAID = Draft(message=PollRequested(repository="git.example.com/apps#main"))


@pytest.mark.parametrize("service", SERVICES)
def test_keys_are_those_of_the_types_that_the_service_says(service: str) -> None:
    topics = grant(service).topics
    for kind, message in MESSAGES.items():
        exchange = names.exchange(message)
        if exchange in {names.EVENTS, names.COMMANDS}:
            is_allowed = bool(re.search(topics[exchange].write, f"{kind}.7"))
            assert is_allowed == (service in PUBLISHERS[kind]), kind


@pytest.mark.parametrize("service", SERVICES)
def test_every_topic_exchange_is_narrowed_and_the_default_one_is_closed(service: str) -> None:
    found = grant(service)
    topic = {names.EVENTS, names.COMMANDS, names.REPLIES, names.PRESENCE, names.DEAD}
    assert set(found.topics) == topic
    for name in ("amq.default", "amq.topic", "", names.queue("repo-writer", 1)):
        assert not re.search(found.write, name)
        assert not re.search(found.configure, name)


@pytest.mark.parametrize(
    ("user", "service"),
    [
        ("git-watcher", "git-watcher"),
        ("prod.git-watcher", "git-watcher"),
        ("prod-gateway", "gateway"),
        ("digit-watcher", None),
        ("flux", None),
        ("", None),
        (None, None),
    ],
)
def test_a_user_is_of_the_service_that_its_name_ends_with(
    user: str | None, service: str | None
) -> None:
    assert service_of(user) == service


def test_a_service_that_would_say_what_is_anothers_is_told_so() -> None:
    check(SAID.sealed("/gateway/1"))
    check(SAID.sealed("/somebody/1"))
    with pytest.raises(ForbiddenError, match=r"repo-writer may not say poll.requested.v1"):
        check(SAID.sealed("/repo-writer/1"))
