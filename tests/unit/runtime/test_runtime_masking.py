"""No secret is left in a text, however it is spelt there."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime.masking import Masking, without_userinfo


def masked(text: str, *known: str) -> str:
    return Masking(lambda: frozenset(known))(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("amqp://flux:pass@host:5672/v failed", "amqp://***@host:5672/v failed"),
        ("https://token@git.example.com/x", "https://***@git.example.com/x"),
        ("https://u:p@ss@git.example.com/x", "https://***@git.example.com/x"),
        ("two: a://x:y@h b://z@h", "two: a://***@h b://***@h"),
        ('{"url": "a://x:y@h"}', '{"url": "a://***@h"}'),
        ("https://git.example.com/x?by=user@example.com", None),
        ("https://git.example.com/@scope/x", None),
        ("git@git.example.com:apps.git", None),
        ("user@example.com", None),
    ],
)
def test_user_and_password_of_a_url_are_masked(text: str, shown: str | None) -> None:
    assert without_userinfo(text) == (shown or text)


@pytest.mark.parametrize(
    "text",
    [
        "the token is s3cr/et=1!",
        "q?token=s3cr%2Fet%3D1%21&x",
        json.dumps({"deep": [{"token": "s3cr/et=1!"}]}),
    ],
)
def test_a_known_secret_is_masked_in_each_spelling(text: str) -> None:
    shown = masked(text, "s3cr/et=1!", "s3cr/et")

    assert "et" not in shown.replace("secret", "")
    assert "***" in shown


def test_of_a_secret_url_only_the_password_is_masked() -> None:
    shown = masked(
        "broker host.example.com refused hunter22", "amqp://flux:hunter22@host.example.com"
    )

    assert shown == "broker host.example.com refused ***"


def test_of_several_secret_urls_every_password_is_masked() -> None:
    cluster = "amqp://flux:passw0rd1@a:5672/,amqp://flux:passw0rd2@b:5672/"
    text = "tried passw0rd1 at a, then passw0rd2 at b"
    assert masked(text, cluster) == "tried *** at a, then *** at b"


def test_each_line_of_a_key_is_a_secret() -> None:
    key = "-----BEGIN KEY-----\nAAAAB3NzaC1yc2EAAAADAQABAAAB\n=\n-----END KEY-----"

    assert masked("line AAAAB3NzaC1yc2EAAAADAQABAAAB there", key) == "line *** there"
    assert masked("1 = 1", key) == "1 = 1"


def test_a_short_secret_leaves_texts_readable() -> None:
    assert masked("a flux is a flux", "flux") == "a flux is a flux"


def test_secrets_that_become_known_later_are_masked_from_then_on() -> None:
    known: set[str] = set()
    mask = Masking(lambda: frozenset(known))
    assert mask("hunter22") == "hunter22"

    known.add("hunter22")
    assert mask("hunter22") == "***"


@given(
    secret=st.text(min_size=6, max_size=30).filter(lambda one: "://" not in one),
    around=st.text(max_size=9),
)
def test_any_secret_is_masked_in_text_and_in_json(secret: str, around: str) -> None:
    plain = f"{around}\x00{secret}\x00{around}"

    assert f"\x00{secret}\x00" not in masked(plain, secret)
    if secret.isascii():
        assert json.dumps(secret)[1:-1] not in masked(json.dumps(["x", secret]), secret)
