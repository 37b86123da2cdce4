"""One repository has one name, however its URL is spelt."""

import pytest

from shared.git.identity import host, repository_id, same_repository, without_credentials

SPELLINGS = (
    "git@git.example.com:acme/apps.git",
    "ssh://git@git.example.com/acme/apps.git",
    "ssh://git@GIT.example.com:22/acme/apps",
    "https://user:secret@git.example.com/acme/apps.git/",
    "http://git.example.com/acme/apps",
)


@pytest.mark.parametrize("url", SPELLINGS)
def test_all_spellings_are_one_repository(url: str) -> None:
    assert repository_id(url, "main") == "git.example.com/acme/apps#main"
    assert same_repository(url, SPELLINGS[0])
    assert host(url) == "git.example.com"


def test_a_port_that_is_not_the_standard_one_tells_repositories_apart() -> None:
    assert repository_id("http://127.0.0.1:8080/a.git", "") == "127.0.0.1:8080/a#HEAD"
    assert not same_repository("https://git.example.com/a", "https://git.example.com/b")


def test_a_password_is_never_shown() -> None:
    shown = without_credentials("https://user:secret@git.example.com:8443/a.git")
    assert shown == "https://user@git.example.com:8443/a.git"
    assert without_credentials(SPELLINGS[0]) == SPELLINGS[0]
