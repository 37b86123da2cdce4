"""Of any manifest that people might write, an edit changes what it names and nothing else."""

from collections.abc import Iterator
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.images import ImageRef
from shared.manifests import EditError, annotate, set_image
from shared.manifests.documents import documents
from shared.manifests.nodes import compose, walk
from shared.manifests.splice import apply, replace_scalar
from tests.unit.manifests.generated import case, document

cases = st.integers(0, 2**32).map(lambda seed: case(Random(seed)))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    if isinstance(value, dict | list) and value:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, one in pairs:
            yield from leaves(one, (*path, key))
    else:
        yield path, repr(value)


def read(text: str) -> dict[tuple[Any, ...], str]:
    return dict(leaves([document.value for document in documents(text)]))


@settings(max_examples=300)
@given(one=cases, tag=st.sampled_from(["v2.0.0", "1.20", "2e5", "0777", "no", "null", "X_y-z"]))
def test_an_update_changes_the_image_alone(one: Any, tag: str) -> None:
    wanted = ImageRef.parse(one.image).with_tag(tag)
    after = set_image(one.text, one.workload, one.container, wanted)
    behind = len(one.text) - one.end
    assert after[: one.start] == one.text[: one.start]
    assert after[len(after) - behind :] == one.text[one.end :]
    old, new = read(one.text), read(after)
    assert old.keys() == new.keys()
    (changed,) = (path for path in old if old[path] != new[path])
    assert new[changed] in {repr(str(wanted)), repr(tag)}
    assert set_image(after, one.workload, one.container, wanted) == after


words = st.one_of(st.text(max_size=40), st.sampled_from(["true", "semver:~1", "a: 'b' #\n\"c\""]))


@settings(max_examples=300)
@given(one=cases, first=words, second=words)
def test_annotations_come_and_go_alone(one: Any, first: str, second: str) -> None:
    old = read(one.text)
    wanted = {"locked_msg": first, "tag.x": second}
    after = annotate(one.text, one.workload, wanted)
    new = read(after)
    assert {value for path, value in new.items() if path not in old} == {
        repr(value) for value in wanted.values()
    }
    assert all(new.get(path, value) == value for path, value in old.items())
    assert annotate(after, one.workload, dict.fromkeys(wanted)) == one.text


texts = st.one_of(words, st.from_regex(r"[0-9xoeEb._:,+-]{1,9}", fullmatch=True))


@settings(max_examples=500)
@given(seed=st.integers(0, 2**32), pick=st.integers(0, 2**16), wanted=texts)
def test_any_value_is_replaced_alone(seed: int, pick: int, wanted: str) -> None:
    before = document(Random(seed))
    old = read(before)
    paths = [path for path, value in old.items() if value not in {"{}", "[]"}]
    path = paths[pick % len(paths)]
    place = walk(compose(before), path[1:])
    assert place
    try:
        splice = replace_scalar(before, place, wanted)
    except EditError:
        assert place.style in {"|", ">"}
        return
    after = apply(before, [splice])
    assert after == before[: splice.start] + splice.text + before[splice.end :]
    assert splice.start >= place.start
    assert splice.end <= place.end or place.is_empty
    new = read(after)
    # A block keeps its header, and so the line end that it may say.
    said = {repr(wanted), repr(f"{wanted}\n")} if place.style in {"|", ">"} else {repr(wanted)}
    assert new.pop(path) in said
    del old[path]
    assert new == old
