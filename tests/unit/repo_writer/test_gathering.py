"""A batch stays open while scans of its cause go on, whoever overtakes whom."""

from services.repo_writer.domain.gathering import more
from services.repo_writer.settings import Settings
from shared.config.model import Config
from shared.contract import Draft, Envelope
from tests.unit.repo_writer.given import found, policies


def heard(under_way: int, cause: str = "one", source: str = "/scanner/a") -> Envelope:
    message = found().model_copy(update={"under_way": under_way})
    return Draft(message=message, correlationid=cause).sealed(source)


def test_more_follows_until_every_scanner_has_ended_every_cause() -> None:
    order = Draft(message=policies(locked="true")).sealed("/gateway")
    assert not more([order, heard(0)])
    assert more([order, heard(2), heard(1)])
    assert not more([heard(1), heard(0)])
    assert not more([heard(0), heard(1)])
    assert more([heard(1), heard(0, cause="other")])
    assert more([heard(1), heard(0, source="/scanner/b")])


def test_who_wishes_for_a_long_quiet_waits_for_it() -> None:
    git = {"url": "ssh://git.example.com/a"}
    config = Config.model_validate(
        {"syncs": [{"name": "a", "git": git}], "automation": {"quiet": 30.0}}
    )
    assert Settings.of(config).window.max_wait == 30.0
    assert (
        Settings.of(
            config.model_copy(update={"automation": type(config.automation)()})
        ).window.max_wait
        == 2.0
    )


def test_thousands_of_updates_are_gathered_for_one_commit() -> None:
    git = {"url": "ssh://git.example.com/a"}
    config = Config.model_validate({"syncs": [{"name": "a", "git": git}]})
    assert Settings.of(config).window.most >= 5_000 > config.broker.prefetch
