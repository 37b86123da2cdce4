"""Durations are written as in Go; secrets are read late, and remembered for masking."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.config import secrets
from shared.config.durations import Duration, go
from shared.config.secrets import SecretRef
from shared.runtime.errors import PermanentError

DURATION: TypeAdapter[float] = TypeAdapter(Duration)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5m", 300), ("100ms", 0.1), ("1h30m", 5400), ("1.5s", 1.5), ("0", 0), (0, 0), (2.5, 2.5)],
)
def test_a_duration_is_read_as_seconds(text: object, seconds: float) -> None:
    assert DURATION.validate_python(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "5",
        "m",
        "5 m",
        "-5m",
        "5M",
        5,
        True,
        False,
        None,
        "",
        [],
        "\N{ARABIC-INDIC DIGIT FIVE}m",
        float("nan"),
    ],
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValidationError):
        DURATION.validate_python(text)


@pytest.mark.parametrize("text", ["0s", "100ms", "2s", "1.5s", "5m", "90s", "2h"])
def test_a_duration_is_written_as_it_is_read(text: str) -> None:
    seconds = DURATION.validate_python(text)

    assert DURATION.validate_python(go(seconds)) == seconds
    assert DURATION.dump_python(seconds, mode="json") == go(seconds)


def test_a_secret_is_read_from_its_file_each_time(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first-secret\n")
    secret = SecretRef(file=path)
    assert secret.read() == "first-secret"

    path.write_text("second-secret\n")
    assert secret.read() == "second-secret"
    assert {"first-secret", "second-secret"} <= secrets.known()


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff"])
def test_a_secret_that_is_not_there_is_named_by_its_place(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(PermanentError, match=r"secret file .*/token"):
        SecretRef(file=path).read()


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(PermanentError, match="NOBODY_SETS_THIS is not set"):
        SecretRef(env="NOBODY_SETS_THIS").read()
