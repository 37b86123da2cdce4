"""How long is waited when revisions come one after the other."""

from services.cluster_applier.bursts import quiet, soon
from shared.contract import Draft, Envelope, StateDeclared, SyncRequested


def declared(commits: int) -> Envelope:
    state = StateDeclared(
        sync="apps",
        target="default",
        repository="r",
        url="u",
        branch="main",
        revision="a",
        bundle="b",
        commits=commits,
    )
    return Draft(message=state).sealed("/git-watcher")


def test_it_must_be_quiet_for_longer_where_several_commits_came_between_two_looks() -> None:
    signal = Draft(message=SyncRequested(sync="apps")).sealed("/gateway")
    assert quiet([signal, declared(1), declared(1)]) == 0.25
    assert quiet([declared(1), declared(2), signal, declared(1)]) == 2.0


def test_one_commit_is_of_a_burst_only_right_behind_an_apply_several_for_longer() -> None:
    assert soon([declared(1), declared(1)]) == 0.1
    assert soon([declared(1), declared(2)]) == 2.0
