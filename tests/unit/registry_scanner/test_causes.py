"""Who gathers what was found learns when the scans of its cause have ended."""

from services.registry_scanner.domain.causes import Causes
from shared.contract import ImagesFound


def found(chosen: str, repository: str = "r#main") -> ImagesFound:
    return ImagesFound(
        repository=repository,
        sync="apps",
        workload="a:deployment/b",
        container="main",
        current="a:1",
        chosen=chosen,
        policy_digest="d",
        why="because",
    )


def test_each_finding_tells_how_many_scans_of_its_cause_go_on() -> None:
    causes = Causes()
    with causes.scan("one") as first, causes.scan("other") as other:
        with causes.scan("one") as second:
            assert [one.under_way for one in second.told([found("a:2")])] == [1]
        assert [one.under_way for one in first.told([found("a:3")])] == [0]
        assert [one.under_way for one in other.told([found("a:4")])] == [0]


def test_a_scan_goes_on_until_its_last_update_of_a_repository() -> None:
    with Causes().scan("one") as scan:
        told = scan.told([found("a:2"), found("a:3", "other#main"), found("a:2"), found("a:2")])
    assert [(one.repository, one.under_way) for one in told] == [
        ("r#main", 1),
        ("other#main", 0),
        ("r#main", 1),
        ("r#main", 0),
    ]


def test_a_last_scan_that_finds_nothing_says_that_nothing_follows() -> None:
    causes = Causes()
    with causes.scan("one") as last:
        with causes.scan("one") as first:
            first.told([found("a:2"), found("a:3", "other#main")])
        told = last.told([found("a:4")])
    assert [(one.chosen, one.under_way) for one in told] == [("a:4", 0), ("a:3", 0)]

    with causes.scan("one") as anew:
        assert anew.told([]) == []
