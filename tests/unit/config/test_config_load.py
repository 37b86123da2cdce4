"""`flux.yaml` is read with every mistake told at once, each at its line or by its variable."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from shared.config.load import ConfigError, load
from shared.config.model import Config

MINIMAL = """\
syncs:
  - name: apps
    git: {url: "ssh://git@git.example.com/apps.git"}
"""

Read = Callable[..., Config]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(text: str, **environment: str) -> Config:
        path = tmp_path / "flux.yaml"
        path.write_text(text)
        return load(path, environment)

    return read


def mistakes(read: Read, text: str, **environment: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        read(text, **environment)
    return [one.partition("/flux.yaml:")[2] or one for one in raised.value.mistakes]


def test_everything_has_a_default_but_name_and_url(read: Read) -> None:
    config = read(MINIMAL)

    assert config.syncs[0].git.poll_interval == 300.0
    assert config.syncs[0].target == "default"
    assert config.gateway.listen == "127.0.0.1:3030"


def test_all_mistakes_are_told_together_in_the_order_of_their_lines(read: Read) -> None:
    text = """\
syncs:
  - name: Apps
    git:
      url: https://git.example.com/x
      pol_interval: 5m
      poll_interval: 5
      url: https://git.example.com/y
  - name: two
    git: {branch: on}
    target: prod
  - name: two
    git:
brokr: {}
log: {level: loud}
health: {gateway: 8081, repo_writer: 99999}
gateway: {listen: "[::]:1"}
"""
    assert mistakes(read, text) == [
        "2: syncs.0.name: must be a DNS label: lower-case letters, digits, hyphens",
        "5: syncs.0.git.pol_interval: unknown key; did you mean poll_interval?",
        "6: syncs.0.git.poll_interval: 5 is no duration; write 300ms, 20s, 5m or 1h30m",
        "7: syncs.0.git.url: is given twice, first in line 4",
        "9: syncs.1.git.url: is missing",
        "9: syncs.1.git.branch: must be text; put it in quotes",
        "10: syncs.1.target: 'prod' is not among the targets: default",
        "11: syncs.2.name: 'two' is given twice, first in syncs.1",
        "12: syncs.2.git: has no value",
        "13: brokr: unknown key; did you mean broker?",
        "14: log.level: must be 'debug', 'info', 'warning' or 'error'",
        "15: health.gateway: port 8081 is taken by health.git_watcher",
        "15: health.repo_writer: must be less than or equal to 65535",
        "16: gateway: listen '[::]:1' can be reached from outside, so gateway.token is needed",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "1: syncs: is missing"),
        ("syncs: []", "1: syncs: must not be empty"),
        ("syncs: apps", "1: syncs: must be a list"),
        ("- syncs", "1: a mapping is expected, with the key syncs"),
        ("syncs:\n\t- name: a", "2: no valid YAML: found character that cannot start any token"),
        ("syncs: &a [*a]", "1: no valid YAML: an anchor that contains itself"),
        ("a: 1\n---\nb: 2", "2: no valid YAML: but found another document"),
        (MINIMAL + "targets: [{name: a}, {name: a}]", "4: targets.1.name: 'a' is given twice"),
        (MINIMAL + "targets: [{name: prod}]", "2: syncs.0.target: 'default' is not among"),
        (
            MINIMAL + "renderer: {listen: '127.0.0.1:70000'}",
            "4: renderer.listen: '127.0.0.1:70000' must be host:port, as in 127.0.0.1:3031",
        ),
        (
            MINIMAL + "renderer: {url: renderer}",
            "4: renderer.url: 'renderer' must be an address, as in http://renderer:3031",
        ),
        (
            MINIMAL + "renderer: {environment: [A-B]}",
            "4: renderer.environment.0: 'A-B' is no name of a variable: letters, digits and _",
        ),
        (
            "syncs: [{name: a, git: {url: x, manifest_generation: true}}]",
            "1: syncs.0.git.manifest_generation: needs a renderer: write `renderer: {}`",
        ),
        (
            "syncs: [{name: a, git: {url: x}, prune_on_removal: true}]",
            "1: syncs.0.prune_on_removal: needs a generation: write one",
        ),
        (MINIMAL + "registries: [{host: h}, {host: h}]", "4: registries.1.host: 'h' is given"),
        (MINIMAL + "gateway: {listen: ':http'}", "4: gateway: listen ':http' must be host:port"),
        (MINIMAL + "shutdown_grace: 0s", "4: shutdown_grace: must be greater than 0"),
        (MINIMAL + "automation: {quiet: .inf}", "4: automation.quiet: must be a finite number"),
        (MINIMAL + "automation: {quiet: no}", "4: automation.quiet: False is no duration"),
    ],
)
def test_a_mistake_names_its_place(read: Read, text: str, told: str) -> None:
    assert any(one.startswith(told) for one in mistakes(read, text)), mistakes(read, text)


def test_a_secret_that_is_written_in_the_file_is_refused_and_not_repeated(read: Read) -> None:
    text = MINIMAL.replace('git"}', 'git", auth: {password: hunter22}}')

    (told,) = mistakes(read, text)

    assert told.startswith("3: syncs.0.git.auth.password: a secret is not written here")
    assert "hunter22" not in told


@pytest.mark.parametrize(
    ("text", "reason"),
    [(None, "No such file or directory; name your file by --config"), (b"\xff", "not UTF-8")],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, text: bytes | None, reason: str
) -> None:
    path = tmp_path / "flux.yaml"
    if text is not None:
        path.write_bytes(text)

    with pytest.raises(ConfigError, match=reason):
        load(path, {})


def test_the_environment_overrides_and_adds(read: Read) -> None:
    environment: Mapping[str, str] = {
        "FLUX__SYNCS__0__GIT__URL": "ssh://git@other.example.com/apps.git",
        "FLUX__SYNCS__0__GIT__PATHS": "[a, b/c]",
        "FLUX__SYNCS__0__PRUNE": "false",
        "FLUX__SYNCS__0__GIT__POLL_INTERVAL": "90s",
        "FLUX__SYNCS__1__NAME": "more",
        "FLUX__SYNCS__1__GIT__URL": "x",
        "FLUX__GATEWAY__TOKEN__ENV": "TOKEN",
        "UNRELATED__KEY": "1",
    }
    config = read(MINIMAL + "gateway:\n", **environment)

    assert config.syncs[0].git.url == "ssh://git@other.example.com/apps.git"
    assert config.syncs[0].git.paths == ("a", "b/c")
    assert config.syncs[0].git.poll_interval == 90.0
    assert not config.syncs[0].prune
    assert config.syncs[1].name == "more"
    assert config.gateway.token is not None
    assert config.gateway.token.env == "TOKEN"


def test_a_list_is_filled_in_the_order_of_numbers(read: Read) -> None:
    environment = {f"FLUX__REGISTRIES__{at}__HOST": f"r{at}.example.com" for at in range(11)}

    config = read(MINIMAL, **environment)

    assert [one.host for one in config.registries] == [f"r{at}.example.com" for at in range(11)]


def test_an_override_changes_only_its_own_place_where_an_anchor_is_shared(read: Read) -> None:
    text = """\
syncs:
  - {name: a, git: &git {url: x, auth: {username: u}}}
  - {name: b, git: *git}
"""
    config = read(text, FLUX__SYNCS__0__GIT__AUTH__USERNAME="other")

    assert [sync.git.auth.username for sync in config.syncs] == ["other", "u"]


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("FLUX__SYNCS__0__GIT__READONLY", "maybe", "syncs.0.git.readonly: must be true or false"),
        ("FLUX__SYNCS__9__NAME", "x", "the list has 1 items, so 9 is no place in it"),
        ("FLUX__SYNCS__FIRST__NAME", "x", "there is nothing called 'first' to override"),
        ("FLUX__BROKR", "x", "brokr: unknown key; did you mean broker?"),
        ("FLUX__LOG__LEVEL", "@x", "no valid YAML scalar; put the value in quotes"),
        ("FLUX__", "x", "there is nothing called '' to override"),
        ("FLUX__SYNCS__0__TARGET", "prod", "syncs.0.target: 'prod' is not among the targets"),
    ],
)
def test_a_wrong_override_is_told_by_the_name_of_its_variable(
    read: Read, variable: str, value: str, told: str
) -> None:
    (one,) = mistakes(read, MINIMAL, **{variable: value})

    assert one.startswith(f"{variable}: {told}")


def test_mistakes_of_file_and_environment_come_together(read: Read) -> None:
    told = mistakes(read, MINIMAL + "brokr: {}\n", FLUX__LOG__LEVEL="loud", FLUX__X__Y="@")

    assert [one.partition(":")[0] for one in told] == ["4", "FLUX__X__Y", "FLUX__LOG__LEVEL"]


def test_paths_are_relative_to_the_file(read: Read, tmp_path: Path) -> None:
    text = (
        MINIMAL
        + """\
targets: [{kubeconfig: kube/config}]
broker: {url: {file: secrets/amqp}}
state_dir: state
"""
    )
    config = read(text)

    assert config.targets[0].kubeconfig == tmp_path / "kube/config"
    assert config.broker.url.file == tmp_path / "secrets/amqp"
    assert config.state_dir == tmp_path / "state"


def test_without_a_generation_the_time_of_the_change_counts(read: Read, tmp_path: Path) -> None:
    read(MINIMAL)
    os.utime(tmp_path / "flux.yaml", (1_700_000_000, 1_700_000_000))

    assert load(tmp_path / "flux.yaml", {}).generation == 1_700_000_000
    assert read("generation: 7\n" + MINIMAL).generation == 7
    assert read("generation: 0\n" + MINIMAL).generation > 1_700_000_000
    assert read("generation: 7\n" + MINIMAL).is_numbered
    assert not read(MINIMAL).is_numbered


def test_a_configuration_made_in_code_is_checked_too() -> None:
    sync = {"name": "a", "git": {"url": "x"}, "target": "prod"}

    with pytest.raises(ValueError, match=r"syncs\.0\.target: 'prod' is not among the targets"):
        Config.model_validate({"syncs": [sync]})


@pytest.mark.parametrize(
    ("needs", "said"),
    [
        ({"a": ["x"]}, r"syncs\.0\.depends_on\.0: 'x' is not among the syncs: a, b"),
        ({"a": ["b"], "b": ["a"]}, r"syncs\.0\.depends_on\.0: 'b' waits for 'a': neither"),
        ({"a": ["a"]}, r"'a' waits for 'a': neither would ever be applied"),
    ],
)
def test_syncs_that_wait_for_nobody_or_for_themselves_are_told(
    needs: dict[str, list[str]], said: str
) -> None:
    syncs = [
        {"name": name, "git": {"url": "x"}, "depends_on": needs.get(name, [])} for name in "ab"
    ]
    with pytest.raises(ValueError, match=said):
        Config.model_validate({"syncs": syncs})
