"""Edits change what they name and no other byte; where they can't, they say so."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.images import ImageRef
from shared.manifests import (
    Annotate,
    EditError,
    SetImage,
    WorkloadId,
    annotate,
    edit,
    load,
    set_image,
)
from shared.manifests.documents import documents
from shared.manifests.splice import is_plain

CASES = sorted((Path(__file__).parents[2] / "testdata" / "edits").iterdir())


def read(path: Path) -> str:
    return path.read_bytes().decode()  # read_text would translate line ends


def odd(case: Path) -> bool:
    return any(end in read(case / "before.yaml") for end in "\r\x85\u2028\u2029")


def parsed(one: dict) -> SetImage | Annotate:
    workload = WorkloadId.parse(one["workload"])
    if "image" in one:
        image = ImageRef.parse(one["image"])
        return SetImage(workload=workload, container=one["container"], image=image)
    return Annotate(workload=workload, changes=one["annotations"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_golden_case(case: Path) -> None:
    wanted = json.loads((case / "edit.json").read_text())
    edits = [parsed(one) for one in wanted["edits"]]
    namespace = wanted.get("default_namespace", "default")
    before = read(case / "before.yaml")
    if "refused" in wanted:
        with pytest.raises(EditError) as refused:
            edit(before, edits, default_namespace=namespace)
        assert wanted["refused"] in str(refused.value)
        return
    after = edit(before, edits, default_namespace=namespace)
    assert after == read(case / "after.yaml")
    assert edit(after, edits, default_namespace=namespace) == after


USUAL = [case for case in CASES if (case / "after.yaml").exists() and not odd(case)]


@pytest.mark.parametrize("end", ["\r\n", "\r", "\x85", "\u2028", "\u2029"], ids=ascii)
@pytest.mark.parametrize("case", USUAL, ids=lambda case: case.name)
def test_however_lines_end_they_end_so_afterwards(case: Path, end: str) -> None:
    wanted = json.loads((case / "edit.json").read_text())
    edits = [parsed(one) for one in wanted["edits"]]
    namespace = wanted.get("default_namespace", "default")
    before, after = (read(case / name).replace("\n", end) for name in ("before.yaml", "after.yaml"))
    assert edit(before, edits, default_namespace=namespace) == after


POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: p
spec:
  containers:
  - name: c
    image: {image}
  - name: d
    image: {other}
"""
ID = "default:pod/p"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (POD.format(image="&x a:1", other="*x"), "line 1: default:pod/p: .* shared by an anchor"),
        (
            POD.format(image="a:1", other="b:1").replace("name: c", "name: e"),
            "line 1: .* no container 'c'",
        ),
        (POD.format(image="a:1", other="b:1").replace("name: p", "name: q"), "is not in the file"),
        (
            2 * ("---\n" + POD.format(image="a:1", other="b:1")),
            r"stands 2 times in the file \(lines 2, 13\)",
        ),
        (POD.format(image="[", other="b:1"), "line 9: not valid YAML"),
        (POD.format(image="|\n      a:1", other="b:1"), "more than was asked"),
    ],
)
def test_what_cannot_be_done_is_told(text: str, why: str) -> None:
    with pytest.raises(EditError, match=why):
        set_image(text, ID, "c", "a:2")


@pytest.mark.parametrize("written", ["foo", "[]", "[a: b]", "'null'", '""', "5"])
def test_annotations_that_are_none_are_not_replaced(written: str) -> None:
    text = POD.format(image="a:1", other="b:1").replace(
        "name: p", f"name: p\n  annotations: {written}"
    )
    with pytest.raises(EditError, match=r"line 1: .*annotations is no mapping"):
        annotate(text, ID, {"automated": "true"})


def test_a_shared_anchor_is_edited_when_all_who_share_it_want_the_same() -> None:
    text = POD.format(image="&x a:1", other="*x")
    edits = [
        SetImage(workload=WorkloadId.parse(ID), container=name, image=ImageRef.parse("a:2"))
        for name in ("c", "d")
    ]
    after = edit(text, edits)
    images = [one["image"] for one in documents(after)[0].value["spec"]["containers"]]
    assert images == ["a:2", "a:2"]


def test_an_image_that_only_a_merge_brings_is_refused() -> None:
    text = """\
x-base: &base {name: c, image: a:1}
apiVersion: v1
kind: Pod
metadata: {name: p}
spec: {containers: [{<<: *base, args: []}]}
"""
    with pytest.raises(EditError, match="more than was asked"):
        set_image(text, ID, "c", "a:2")


def test_a_release_whose_registry_has_a_field_needs_a_registry() -> None:
    text = """\
apiVersion: helm.fluxcd.io/v1
kind: HelmRelease
metadata: {name: r}
spec: {values: {image: {registry: ghcr.io, repository: a/b, tag: v1}}}
"""
    with pytest.raises(EditError, match="names no registry"):
        set_image(text, "default:helmrelease/r", "chart-image", "a/b:v2")


def test_a_cluster_scoped_object_is_found_without_namespace() -> None:
    text = "apiVersion: acme.io/v1\nkind: Zone\nmetadata:\n  name: eu\n"
    wanted = Annotate(workload=WorkloadId.parse("<cluster>:zone/eu"), changes={"ignore": "true"})
    with pytest.raises(EditError, match="is not in the file"):
        edit(text, [wanted])
    after = edit(text, [wanted], cluster_kinds=frozenset({("acme.io", "Zone")}))
    assert after == text + '  annotations:\n    fluxcd.io/ignore: "true"\n'


def test_the_later_edit_wins() -> None:
    text = POD.format(image="a:1", other="b:1")
    workload = WorkloadId.parse(ID)
    there_and_back = [
        Annotate(workload=workload, changes={"automated": "true"}),
        Annotate(workload=workload, changes={"automated": None}),
    ]
    assert edit(text, there_and_back) == text


tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
quotes = st.sampled_from(["{}", "'{}'", '"{}"', "!!str {}", "&a {}", "{}   # c", ">-\n      {}"])
noise = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")))


@given(old=tags, new=tags, quote=quotes, comment=noise, eol=st.sampled_from(["\n", "\r\n"]))
def test_an_image_edit_changes_that_value_alone(
    old: str, new: str, quote: str, comment: str, eol: str
) -> None:
    comment = comment.replace("\ufeff", "").replace("\ufffe", "").replace("\uffff", "")
    head, tail = f"# {comment}\n", f"  # {comment}\n---\nkind: x\n"
    text = head + POD.format(image=quote.format(f"acme/web:{old}"), other="acme/web:keep") + tail
    text = text.replace("\n", eol)
    after = set_image(text, ID, "c", f"acme/web:{new}")
    assert after == text.replace(f"acme/web:{old}", f"acme/web:{new}", 1)


@given(key=st.from_regex(r"[a-z]{1,9}", fullmatch=True), value=st.text())
def test_any_text_is_an_annotation(key: str, value: str) -> None:
    text = POD.format(image="a:1", other="b:1")
    try:
        after = annotate(text, ID, {key: value})
    except EditError:
        assert any(0xD800 <= ord(one) <= 0xDFFF for one in value)
        return
    there = load(after, file="f").objects[0].object["metadata"]["annotations"]
    assert there == {f"fluxcd.io/{key}": value}
    assert annotate(after, ID, {key: None}) == text


@pytest.mark.parametrize("eol", ["\n", "\r\n"])
def test_annotations_at_an_end_without_a_line_end_come_and_go(eol: str) -> None:
    text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  annotations:\n    a: b".replace(
        "\n", eol
    )
    after = annotate(text, ID, {"x": "1", "y": "2"})
    assert annotate(after, ID, {"x": None, "y": None}) == text
    bare = text.partition(f"{eol}  annotations")[0]
    assert annotate(annotate(bare, ID, {"x": "1"}), ID, {"x": None}) == bare
    assert annotate(after, ID, {"x": None}).endswith('fluxcd.io/y: "2"')


@given(
    value=st.one_of(st.text(max_size=12), st.from_regex(r"[0-9xoeEb._:+-]{1,9}", fullmatch=True))
)
def test_an_annotation_in_braces_is_the_text_it_was(value: str) -> None:
    text = "{apiVersion: v1, kind: Pod, metadata: {name: p}}\n"
    after = annotate(text, ID, {"x": value})
    there = load(after, file="f").objects[0].object["metadata"]["annotations"]
    assert there == {"fluxcd.io/x": value}


NO_TEXT_TO_SOME = """
1 007 1_000 1,000 1.10 1. 1_0.5 1e3 12E-3 1.5e+3 0x1F 0o17 0b11 22:22 1:30:59.5
2024-01-01 2024-1-1T10:00:00Z yes No null y
"""
TEXT_TO_ALL = """
1.2.3 4.0.9-r1 2024-01-01-1 1.2.3-4 7a 0xg 1_x v1 10.0.0.1:80 20240101.1.2 1e3x nope 22:22:x
"""


@pytest.mark.parametrize("text", NO_TEXT_TO_SOME.split())
def test_what_some_reader_takes_for_no_text_is_quoted(text: str) -> None:
    assert not is_plain(text, flow=False)
    assert not is_plain(text, flow=True)


@pytest.mark.parametrize("text", TEXT_TO_ALL.split())
def test_what_every_reader_takes_for_text_is_not_quoted(text: str) -> None:
    assert is_plain(text, flow=False)
    assert is_plain(text, flow=True)


def test_a_long_row_of_digits_is_looked_at_once() -> None:
    start = time.process_time()
    assert is_plain("1" * 200_000 + "x", flow=False)
    assert time.process_time() - start < 1
