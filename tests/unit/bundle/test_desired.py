"""What of an object is applied, and that no manifest is more than a problem."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from services.git_watcher.domain.marker import Marker
from shared.bundle.packing import LARGEST
from shared.bundle.render import File, read
from shared.manifests.marks import set_name

SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"
CONFIG = "apiVersion: v1\nkind: ConfigMap\n"


PLAIN = "no API server takes `.`, `..`, or what holds `/` or `%`"


def file(text: str) -> File:
    return read("a.yaml", text.encode(), default_namespace="shop", mark_set="set")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (SECRET + "stringData: {port: 80}\n", "stringData.port is no string; quote it"),
        (SECRET + "stringData: [a]\n", "stringData is no mapping"),
        (SECRET + "stringData: {a: b}\ndata: text\n", "data is no mapping"),
        (CONFIG + "metadata: {name: a, labels: [b]}\n", "metadata.labels is no mapping"),
        (
            CONFIG + "metadata: {name: a, labels: {version: 1.0}}\n",
            "metadata.labels.version is no string; quote it",
        ),
        (
            CONFIG + "metadata: {name: a, annotations: {a: true}}\n",
            "metadata.annotations.a is no string; quote it",
        ),
        (
            CONFIG + "metadata: {generateName: a-}\n",
            "the ConfigMap has a generateName, so it would be another one each time: name it",
        ),
        (CONFIG + "metadata: {name: ..}\n", f"metadata.name of the ConfigMap is '..': {PLAIN}"),
        (
            CONFIG + "metadata: {name: ../../b/configmaps/c}\n",
            f"metadata.name of the ConfigMap is '../../b/configmaps/c': {PLAIN}",
        ),
        (
            CONFIG + "metadata: {name: a, namespace: ../b}\n",
            f"metadata.namespace of the ConfigMap is '../b': {PLAIN}",
        ),
        (
            CONFIG + f"metadata: {{name: a}}\ndata: {{a: '{'x' * 4_000_000}'}}\n",
            None,
        ),
    ],
)
def test_what_no_api_server_takes_is_a_problem_with_its_line(text: str, told: str | None) -> None:
    found = file(text)
    assert [one.message for one in found.problems] == ([told] if told else [])
    assert {one.line for one in found.problems} <= {1}
    assert len(found.items) == (0 if told else 1)


def test_an_object_that_is_too_large_is_a_problem() -> None:
    large = "é" * 7_000_000  # twice as many bytes as characters
    found = file(CONFIG + f"metadata: {{name: a}}\ndata: {{a: {large}}}\n")
    assert len(large.encode()) > LARGEST
    assert "too many for a cluster" in found.problems[0].message
    assert not found.items


def test_what_stands_in_both_data_and_string_data_is_what_string_data_says() -> None:
    (item,) = file(SECRET + "data: {a: b2xk, b: b2xk}\nstringData: {a: new, c: null}\n").items
    assert json.loads(item.body)["data"] == {"a": "bmV3", "b": "b2xk", "c": ""}


def test_a_label_that_is_there_already_is_left_alone() -> None:
    label = "fluxcd.io/sync-gc-mark"
    (item,) = file(CONFIG + f"metadata: {{name: a, labels: {{{label}: mine, b: c}}}}\n").items
    assert json.loads(item.body)["metadata"]["labels"] == {label: "mine", "b": "c"}


def test_marks_are_those_of_flux_v1() -> None:
    """Hashes of URL, branch and paths, and then of that and the workload's id."""
    name = set_name("ssh://git@git.example.com/acme/apps", "master", ("a", "b"))
    text = CONFIG.encode() + b"metadata: {name: a}\n"
    (item,) = read("a.yaml", text, default_namespace="shop", mark_set=name).items

    assert name == "MYs7wD3Zo9Ob_UvB0ayoASSX_VVX428I7uqb6lUJxKE"
    assert json.loads(item.body)["metadata"]["labels"] == {
        "fluxcd.io/sync-gc-mark": "sha256.JCmkj1YWOYuJYQOaNCEA-SO4B_QA1I1nMlZ_rnz3hZ4"
    }


@pytest.mark.parametrize("marker", [Marker(), Marker(revision="a", bundle="b", rewritten=True)])
def test_a_marker_is_read_as_it_was_written(marker: Marker) -> None:
    assert Marker.parse(str(marker)) == marker
    assert Marker.parse("torn") == Marker(revision="torn")


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
METADATA = st.fixed_dictionaries(
    {"name": st.just("a")},
    optional={"labels": VALUES, "annotations": VALUES, "namespace": VALUES},
)
OBJECTS = st.fixed_dictionaries(
    {
        "apiVersion": st.sampled_from(["v1", "apps/v1", "batch/v1", "helm.fluxcd.io/v1"]),
        "kind": st.sampled_from(["Secret", "Deployment", "CronJob", "HelmRelease", "Namespace"]),
        "metadata": METADATA | VALUES,
    },
    optional={"data": VALUES, "stringData": VALUES, "spec": VALUES, "status": VALUES},
)


@given(st.lists(OBJECTS | VALUES, max_size=3))
def test_whatever_stands_in_a_file_is_an_object_or_a_problem(values: list[Any]) -> None:
    found = file(yaml.safe_dump_all(values, allow_unicode=True))
    for item in found.items:
        assert json.loads(item.body)["metadata"]["labels"]
