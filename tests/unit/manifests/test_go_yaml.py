"""A document is written as go-yaml v2 writes it, to the byte."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.manifests.documents import documents
from shared.manifests.go_yaml import marshal

CASES = sorted(
    one for one in (Path(__file__).parents[2] / "testdata" / "go_yaml").iterdir() if one.is_dir()
)

CHARACTERS = st.characters(codec="utf-8", exclude_characters="\u2028\u2029")
TEXTS = st.text(CHARACTERS, max_size=30) | st.text(alphabet="ab: -'\"\n#", max_size=120)
KEYS = TEXTS.filter(lambda text: text != "<<")  # go-yaml does not quote it, and would merge
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(-1e9, 1e9) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_document_is_written_as_go_does(case: Path) -> None:
    (read,) = documents((case / "before.yaml").read_text())
    assert marshal(read.value) == (case / "after.yaml").read_bytes().decode()


@given(value=st.dictionaries(KEYS, VALUES, min_size=1, max_size=4))
def test_what_is_written_is_read_as_the_same(value: dict[str, Any]) -> None:
    (read,) = documents(marshal(value))
    assert read.value == value


def test_the_order_of_keys_makes_no_difference() -> None:
    names = ["a2", "a10", "b", "a-1", "a.1", "A", "a", "1", "\u00e9"]
    assert marshal(dict.fromkeys(names, 1)) == marshal(dict.fromkeys(reversed(names), 1))
