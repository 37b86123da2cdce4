"""What a pull request says is what its commits say, and nothing in it is more than text."""

import pytest
from pydantic import ValidationError

from services.repo_writer.domain import trailers
from services.repo_writer.domain.plan import Plan
from services.repo_writer.domain.proposal import LONGEST, proposal
from shared.config.git import Git
from shared.contract import UpdatePushed
from tests.unit.repo_writer.fakes import FakeRepo
from tests.unit.repo_writer.given import AUTOMATED, events, found, handle, said


def ours(words: str) -> str:
    return trailers.write(words, kind="auto", plan=Plan())


def test_one_commit_is_its_own_title_and_several_are_counted() -> None:
    assert proposal([ours("One\n\nand why")]).title == "One"
    both = proposal([ours("Two"), "A person's\n\nSigned-off-by: Ann\n"])
    assert both.title == "2 updates by Flux"
    assert both.body == "```\nTwo\n\nA person's\n\nSigned-off-by: Ann\n```\n"


@pytest.mark.parametrize("words", ["```\n@all\n```", "`" * 50, "[x](http://y)\n~~~"])
def test_no_words_end_the_block_that_they_stand_in(words: str) -> None:
    lines = proposal([ours(words)]).body.splitlines()
    assert set(lines[0]) == {"`"}
    assert [number for number, line in enumerate(lines) if line == lines[0]] == [0, len(lines) - 1]


def test_what_is_long_is_cut() -> None:
    long = proposal([ours("x" * 99_999)])
    assert len(long.body) < LONGEST + 100
    assert len(long.title) == 200


async def test_what_waits_is_told_so() -> None:
    repo = FakeRepo({"web.yaml": AUTOMATED})
    repo.aside = "updates"
    (pushed,) = events(await handle(repo, said(found())), UpdatePushed)
    assert (pushed.branch, pushed.pull_request) == ("updates", "https://git.example.com/pulls/1")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"pull_request": {"host": "gitea", "token": {"env": "T"}}}, "needs push_branch"),
        ({"branch": "main", "push_branch": "main"}, "must be another branch"),
        ({"push_branch": "a..b"}, "no name that git would take"),
        ({"sync_tag": "-x"}, "no name that git would take"),
        ({"notes_ref": "a/.b"}, "no name that git would take"),
        ({"notes_ref": "a b"}, "no name that git would take"),
    ],
)
def test_what_git_would_not_take_is_told_at_start(settings: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Git.model_validate({"url": "ssh://git.example.com/a", **settings})
