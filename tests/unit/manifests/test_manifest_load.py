"""Files are read as kubectl reads them; what is wrong is told, and nothing explodes."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.manifests import Declared, Loaded, cluster_kinds_in, load
from shared.manifests.documents import YamlError, documents

SCALARS = json.loads(
    (Path(__file__).parents[2] / "testdata" / "scalars" / "kubectl.json").read_text()
)


@pytest.mark.parametrize(("written", "meant"), SCALARS, ids=str)
def test_a_scalar_means_what_it_means_to_kubectl(written: str, meant: object) -> None:
    if isinstance(meant, dict):
        with pytest.raises(YamlError):
            documents(f"k: {written}\n")
        return
    value = documents(f"k: {written}\n")[0].value["k"]
    assert value == meant
    assert isinstance(value, bool) == isinstance(meant, bool)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("z: &a {k: 1, l: 2}\nm: {<<: *a, k: 5}", {"k": 5, "l": 2}),
        # As kubectl has it: a merge wins over what stands before it.
        ("z: &a {k: 1, l: 2}\nm: {k: 5, <<: *a}", {"k": 1, "l": 2}),
        ("z: &a {k: 1}\nx: &b {k: 2, l: 3}\nm: {<<: [*a, *b]}", {"k": 1, "l": 3}),
        ("m: {yes: a, 1: b, 1.5: c, 2024-01-01: d}", {"true": "a", "1": "b", "1.5": "c"}
         | {"2024-01-01": "d"}),
        ("z: &a {k: 1}\nm: {!!merge <<: *a}", {"k": 1}),
        ("m: {'<<': 1}", {"<<": 1}),
        ('m: {\n\t"a": [1,\t2]}', {"a": [1, 2]}),
    ],
)  # fmt: skip
def test_mappings_are_merged_and_keyed_as_kubectl_does(written: str, meant: object) -> None:
    assert documents(written)[0].value["m"] == meant


TWO = """\
# a comment
apiVersion: v1
kind: ConfigMap
metadata:
  name: one
---
---
nothing: here
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Namespace
  metadata: {name: shop, namespace: stripped}

- apiVersion: apps/v1
  kind: DeploymentList
  items:
  - metadata: {name: web, namespace: shop}
"""


def places(loaded: Loaded) -> list[tuple[str, int]]:
    return [(str(one.id), one.line) for one in loaded.objects]


def test_documents_and_lists_are_taken_apart_with_their_places() -> None:
    loaded = load(TWO, file="f.yaml", default_namespace="apps")
    assert not loaded.problems
    assert places(loaded) == [
        ("ConfigMap apps/one", 2),
        ("Namespace shop", 13),
        ("apps/Deployment shop/web", 20),
    ]


@pytest.mark.parametrize("eol", ["\n", "\r\n"])
def test_byte_order_marks_and_line_ends_do_not_move_lines(eol: str) -> None:
    data = b"\xef\xbb\xbf" + TWO.replace("\n", eol).encode()
    assert places(load(data, file="f")) == places(load(TWO, file="f"))


def test_a_custom_resource_may_be_called_a_list() -> None:
    text = "apiVersion: acme/v1\nkind: DenyList\nmetadata: {name: a}\nspec: {}\n"
    assert places(load(text, file="f")) == [("acme/DenyList default/a", 1)]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("kind: A\nb: [\n", 2, "not valid YAML: did not find expected node content"),
        ("kind: A\n\tb: 1\n", 2, "indented with a tab"),
        ("kind: A\nb: {{ .Values.x }}\n", 2, "a template"),
        ("kind: A\n{{ if .x }}\n", 2, "a template"),
        ("kind: A\nkind: B\n", 2, "the key 'kind' stands twice"),
        ("kind: A\nb: *x\n", 2, "has no anchor"),
        ("kind: A\nb: &x [*x]\n", 2, "inside its own anchor"),
        ("kind: A\nb: .inf\n", 2, "no number that JSON knows"),
        ("kind: A\nb: !!binary \u0663\n", 2, "no base64 of text"),
        ("kind: A\nb: !!binary a\n", 2, "no base64 of text"),
        ("kind: A\nb: !!binary /w==\n", 2, "no base64 of text"),
        ("kind: A\nb: \x00\n", 2, "control characters are not allowed (#x0000)"),
        ("- a\n", 1, "there is a list where an object was expected"),
        ("just words\n", 1, "there is a single value"),
        ("\nkind: A\n", 2, "apiVersion is missing"),
        ("kind: A\napiVersion: v1\n", 1, "the A has no metadata"),
        ("kind: A\napiVersion: v1\nmetadata: {}\n", 1, "metadata.name (of the A) is missing"),
        ("kind: A\napiVersion: 1\nmetadata: {}\n", 1, "apiVersion is no string; quote it"),
        ("kind: A\napiVersion: v1\nmetadata: {name: a, namespace: 5}\n", 1, "no string; quote"),
        ("kind: List\nitems: [5]\n", 1, "there is a single value"),
        ("a: b\n" * 2_000_000, None, "larger than 8 MB"),
        ("[" * 100_000, 1, "nested deeper than 200"),
        ("- " * 100_000, 1, "nested deeper than 200"),
        ("{a: " * 100_000, 1, "nested deeper than 200"),
        ("".join(
            f"k{n}: &k{n} [{f'*k{n - 1}' if n else 1}]\n" for n in range(999)), 200, "nested"),
        ("a0: &a0 [1]\n" + "".join(
            f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
        ), 7, "aliases"),
    ],
    ids=lambda one: str(one)[:30],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(text: str, line: int | None, message: str) -> None:
    loaded = load(text, file="f.yaml")
    assert not loaded.objects
    (problem,) = loaded.problems
    assert (problem.file, problem.line) == ("f.yaml", line)
    assert message in problem.message


def test_a_number_too_long_for_a_machine_is_a_text() -> None:
    for digits in ("9" * 5_000, "0x" + "f" * 5_000, "1" * 5_000 + ".5"):
        assert documents(f"k: {digits}\n")[0].value == {"k": digits}


def test_bytes_that_are_no_text_are_told() -> None:
    (problem,) = load(b"kind: A\nb: \xff\n", file="f").problems
    assert str(problem) == "f:2: the file is not UTF-8 text"


def test_an_incomplete_object_spoils_only_itself() -> None:
    loaded = load("apiVersion: v1\nkind: A\n---\n" + TWO, file="f")
    assert len(loaded.objects) == 3
    assert [one.line for one in loaded.problems] == [1]


def test_definitions_in_the_repository_tell_the_scope() -> None:
    text = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: x}
spec: {group: acme.io, scope: Cluster, names: {kind: Zone}}
---
apiVersion: acme.io/v1
kind: Zone
metadata: {name: eu}
"""
    loaded = load(text, file="f")
    kinds = cluster_kinds_in(one.object for one in loaded.objects)
    settled = [one.settled(default_namespace="d", cluster_kinds=kinds) for one in loaded.objects]
    assert str(loaded.objects[1].id) == "acme.io/Zone default/eu"
    assert [str(one.id) for one in settled] == [
        "apiextensions.k8s.io/CustomResourceDefinition x",
        "acme.io/Zone eu",
    ]


def placed(text: str) -> dict:
    (one,) = load(text, file="f", default_namespace="apps").objects
    assert isinstance(one, Declared)
    return one.placed()["metadata"]


def test_an_object_is_placed_in_the_namespace_of_its_id() -> None:
    assert placed("apiVersion: v1\nkind: A\nmetadata: {name: a}\n") == {
        "name": "a",
        "namespace": "apps",
    }
    assert placed("apiVersion: v1\nkind: Node\nmetadata: {name: a, namespace: x}\n") == {
        "name": "a"
    }


@given(st.text(alphabet="abk:- \n[]{}&*<!|>'\"#\t,?0.%", max_size=60))
def test_no_text_makes_it_raise(text: str) -> None:
    load("apiVersion: v1\nkind: A\n" + text, file="f")
    load(text, file="f")
