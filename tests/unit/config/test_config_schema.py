"""The schema of `flux.yaml` that is checked in is current, and agrees with what is read."""

import json
from pathlib import Path

import jsonschema
import pytest

from shared.config import schema
from shared.config.__main__ import main

CHECKED_IN = Path(__file__).parents[3] / "docs" / "schemas" / "flux.schema.json"

WHOLE = {
    "syncs": [{"name": "apps", "git": {"url": "x", "poll_interval": "1h30m", "timeout": "0.5s"}}],
    "gateway": {"token": {"env": "TOKEN"}},
    "automation": {"quiet": "0"},
}


def test_the_schema_that_is_checked_in_is_current() -> None:
    assert CHECKED_IN.read_text() == schema.text(), "run `make schemas`"


def test_the_schema_takes_what_is_right_and_refuses_what_is_wrong() -> None:
    validator = jsonschema.Draft202012Validator(schema.schema())
    validator.check_schema(schema.schema())

    assert validator.is_valid(WHOLE)
    assert not validator.is_valid({**WHOLE, "brokr": {}})
    assert not validator.is_valid({**WHOLE, "shutdown_grace": "soon"})
    assert not validator.is_valid({})


def test_the_schema_command_prints_what_is_checked_in(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert capsys.readouterr().out == CHECKED_IN.read_text()


def test_the_check_command_says_ok_or_every_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "flux.yaml"
    path.write_text(json.dumps(WHOLE))
    assert main(["check", "--config", str(path)]) == 0
    assert capsys.readouterr().out == "ok\n"

    path.write_text("{a: 1, b: 2}")
    assert main(["check", "--config", str(path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3
