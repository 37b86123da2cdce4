"""Of any manifest that people might write, an edit changes what it names and nothing else."""

from collections.abc import Iterator
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.images import ImageRef
from shared.manifests import annotate, set_image
from shared.manifests.documents import documents
from tests.unit.manifests.generated import case

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
