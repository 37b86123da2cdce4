"""A `.flux.yaml` is read as Flux v1 read it, and every mistake in it is named."""

import pytest

from shared.manifests.flux_yaml import Command, FluxYaml, FluxYamlError, Updater, parse


def test_a_patch_updated_one_names_generators_and_a_patch_file() -> None:
    text = """
    version: 1
    patchUpdated:
      generators:
      - command: kustomize build .
      - command: helm template ../chart
        timeout: 1m30s
      patchFile: ./flux-patch.yaml
    """
    assert parse(text) == FluxYaml(
        generators=(
            Command(text="kustomize build ."),
            Command(text="helm template ../chart", timeout=90.0),
        ),
        patch_file="flux-patch.yaml",
    )


def test_a_command_updated_one_names_generators_and_updaters() -> None:
    text = """
    version: 1
    commandUpdated:
      generators: [{command: cat x}]
      updaters:
      - containerImage: {command: set-image, timeout: 2s}
        policy: {command: set-policy}
      - policy: {command: note}
    """
    assert parse(text) == FluxYaml(
        generators=(Command(text="cat x"),),
        updaters=(
            Updater(
                image=Command(text="set-image", timeout=2.0), policy=Command(text="set-policy")
            ),
            Updater(policy=Command(text="note")),
        ),
    )
    assert parse("version: 1\ncommandUpdated: {generators: [{command: x}]}").updaters == ()


@pytest.mark.parametrize("value", ["{}", ""])
def test_a_scanning_one_names_nothing(value: str) -> None:
    assert parse(f"version: 1\nscanForFiles: {value}").scan


NONE = "exactly one of commandUpdated, patchUpdated, scanForFiles must be given; there is none"


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("", "it must be one mapping with version: 1 and one of"),
        ("- a", "it must be one mapping"),
        ("version: 1\n---\nversion: 1", "it must be one mapping"),
        ("a: [", "line 1: not valid YAML"),
        ("version: 1", NONE),
        ("{}", f"version must be 1; {NONE}"),
        ("version: true\nscanForFiles: {}", "version must be 1, and is True"),
        ("version: '1'\nscanForFiles: {}", "version must be 1, and is '1'"),
        (
            "version: 1\nscanForFiles: {}\npatchUpdated: {}",
            "there are patchUpdated, scanForFiles",
        ),
        ("version: 1\nscanForFiles: {a: 1}", "scanForFiles.a is not known; scanForFiles takes no"),
        ("version: 1\nfiles: {}", "files is not known; the file takes version, commandUpdated"),
        ("version: 1\ncommandUpdated: x", "commandUpdated must be a mapping"),
        ("version: 1\ncommandUpdated: {}", "commandUpdated.generators must be a list of commands"),
        (
            "version: 1\ncommandUpdated: {generators: [{command: x}], patchFile: y}",
            "commandUpdated.patchFile is not known; commandUpdated takes generators, updaters",
        ),
        (
            "version: 1\ncommandUpdated: {generators: [{command: x}], updaters: [{image: {}}]}",
            "commandUpdated.updaters.0.image is not known; commandUpdated.updaters.0 takes contai",
        ),
        (
            "version: 1\npatchUpdated: {generators: [{command: [a]}], patchFile: /etc/x}",
            (
                "patchUpdated.generators.0.command must be a line for the shell;"
                " patchUpdated.patchFile must be a path relative to the folder"
            ),
        ),
        (
            "version: 1\npatchUpdated: {generators: [{command: x, timeout: 500ms}], patchFile: y}",
            (
                "patchUpdated.generators.0.timeout must be a duration of at least 1s, as 90s or 2m,"
                " and is '500ms'"
            ),
        ),
    ],
)
def test_mistakes_are_named_with_their_places(text: str, mistakes: str) -> None:
    with pytest.raises(FluxYamlError) as caught:
        parse(text)
    assert mistakes in str(caught.value)


def test_all_mistakes_are_told_together() -> None:
    text = "version: 2\ncommandUpdated: {generators: [{command: ''}, {comand: x}], updaters: 1}"
    with pytest.raises(FluxYamlError) as caught:
        parse(text)
    assert str(caught.value).count(";") >= 4
