"""Templates of commit messages: mistakes are told at start, and nothing in one can run wild."""

from pathlib import Path

import pytest

from shared.config.load import ConfigError, load
from shared.config.templates import LONGEST, compiled, rendered
from shared.runtime.errors import PermanentError

VALUES = {
    "kind": "auto",
    "user": "Ann",
    "message": "",
    "images": ["a:1", "b:2"],
    "changes": [{"workload": "w", "container": "c", "current": "a:0", "target": "a:1"}],
    "workloads": ["w"],
    "default": "Auto-release a:1",
}


def test_a_template_sees_what_the_commit_does() -> None:
    text = (
        "chore: {{ images | join(', ') }}{% for one in changes %}\n{{ loop.index }}. "
        "{{ one.workload }}/{{ one.container }} {{ one.current }} -> {{ one.target }}{% endfor %}"
        "{% if user %}\n\nBy {{ user }}{% endif %}"
    )
    assert rendered(text, VALUES) == "chore: a:1, b:2\n1. w/c a:0 -> a:1\n\nBy Ann"


def test_what_a_person_wrote_is_a_value_and_no_template() -> None:
    assert rendered("{{ user }}", {**VALUES, "user": "{{ 1 }}{% x"}) == "{{ 1 }}{% x"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{ images", "line 1: "),
        ("a\n\n{% for x in %}", "line 3: "),
        ("a\n{{ imags }}", "line 2: there is no 'imags'; there are changes, default, images"),
        ("{{ images | tojson }}", "line 1: No filter named 'tojson'"),
        ("{{ range(9) }}", "line 1: call is not allowed"),
        ("{{ 'x' * 1000000000 }}", "line 1: mul is not allowed"),
        ("{{ '%999999999d' % 1 }}", "line 1: mod is not allowed"),
        ("{% set x = user ~ user %}", "line 1: assign is not allowed"),
        ("{% include '/etc/passwd' %}", "line 1: include is not allowed"),
        ("{% macro m() %}{% endmacro %}", "line 1: macro is not allowed"),
    ],
)
def test_a_broken_template_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(ValueError, match="template, line ") as caught:
        compiled(text)
    assert told in str(caught.value)


@pytest.mark.parametrize("text", ["{{ user.__class__.__mro__ }}", "{{ images.append }}"])
def test_no_attribute_of_a_value_is_reached(text: str) -> None:
    with pytest.raises(PermanentError, match=r"git\.messages fails: "):
        rendered(text, VALUES)


def test_a_message_that_grows_too_long_is_an_error() -> None:
    many = {**VALUES, "images": ["x" * 100] * 100}
    loops = "{% for a in images %}{% for b in images %}{{ b }}{% endfor %}{% endfor %}"
    with pytest.raises(PermanentError, match=f"longer than {LONGEST}"):
        rendered(loops, many)


def test_a_broken_template_is_told_at_start_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "flux.yaml"
    path.write_text(
        "syncs:\n  - name: apps\n    git:\n      url: ssh://git.example.com/a\n"
        "      messages:\n        auto: 'x {{ imgs }}'\n"
    )
    with pytest.raises(ConfigError, match=r"flux\.yaml:6: syncs\.0\.git\.messages\.auto") as caught:
        load(path, {})
    assert "there is no 'imgs'" in str(caught.value)
