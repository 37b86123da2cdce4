"""One repository has one name, however its URL is spelt."""

import re

import pytest

from shared.git.identity import (
    directory_name,
    host,
    marked,
    repository_id,
    same_repository,
    without_credentials,
)

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


def test_nothing_that_may_be_a_secret_is_shown() -> None:
    for user in ("user:secret", "token", "token:x-oauth-basic"):
        shown = without_credentials(f"https://{user}@git.example.com:8443/a.git")
        assert shown == "https://git.example.com:8443/a.git"
    assert (
        without_credentials("ssh://git:secret@git.example.com/a") == "ssh://git@git.example.com/a"
    )
    assert without_credentials(SPELLINGS[0]) == SPELLINGS[0]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("git@git.example.com:acme/apps.git", "ssh://git@git.example.com/acme/apps.git"),
        ("ssh://git@git.example.com/acme/apps", "ssh://git@git.example.com/acme/apps"),
        ("https://user:secret@git.example.com/a.git", "https://user@git.example.com/a.git"),
        ("http://git.example.com:8080/a", "http://git.example.com:8080/a"),
    ],
)
def test_marks_are_made_of_the_url_as_flux_v1_writes_it(url: str, expected: str) -> None:
    assert marked(url) == expected


def test_folders_of_repositories_are_told_apart() -> None:
    names = {directory_name(f"git.example.com/{name}#main") for name in ("a/b", "a-b", "A/b")}
    assert len(names) == 3
    assert all(re.fullmatch(r"[A-Za-z0-9.-]+", name) for name in names)
