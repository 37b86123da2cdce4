"""A bundle survives its stream: torn, doubled, mixed up."""

import json
import random
from collections.abc import Sequence

import pytest

from shared.bundle.format import Assembler, Bundle, Header, Item, digest_of, pack
from shared.manifests import ObjectId
from shared.runtime.errors import PermanentError


def item(name: str, size: int = 10) -> Item:
    filler = random.Random(name).randbytes(size // 2).hex()
    body = json.dumps({"name": name, "filler": filler}).encode()
    return Item(
        id=ObjectId.parse(f"ConfigMap shop/{name}"),
        version="v1",
        body=body,
        digest=digest_of(body),
        file=f"{name}.yaml",
        line=1,
    )


def bundle(revision: str, *items: Item) -> Bundle:
    header = Header(sync="apps", target="default", repository="r", url="u", revision=revision)
    return pack(header, items)


def assembled(records: Sequence[tuple[object, object]]) -> list[Bundle]:
    assembler = Assembler()
    found = [assembler.take(headers, body) for headers, body in records]  # type: ignore[arg-type]
    return [one for one in found if one is not None]


def test_every_object_comes_out_as_it_went_in() -> None:
    items = [item(f"i{number}", 100_000) for number in range(20)]
    (found,) = assembled(bundle("a", *items).records())

    assert len(found.chunks) > 1
    assert [found.object(entry) for entry in found.header.index] == [one.body for one in items]
    assert [str(entry.object_id) for entry in found.header.index] == [str(i.id) for i in items]


def test_equal_content_has_an_equal_digest_and_another_revision_another() -> None:
    assert bundle("a", item("x")).digest == bundle("a", item("x")).digest
    assert bundle("a", item("x")).digest != bundle("b", item("x")).digest


def test_a_torn_bundle_is_skipped_and_a_doubled_one_does_no_harm() -> None:
    big = [item(f"i{number}", 400_000) for number in range(4)]
    torn, whole = bundle("a", *big).records(), bundle("b", *big).records()
    found = assembled([*torn[:2], *whole, *whole])

    assert [one.header.revision for one in found] == ["b", "b"]


def test_foreign_records_are_passed_over() -> None:
    records = [({}, b"x"), ({"flux-bundle": "9", "flux-digest": "d"}, b"y")]
    assert assembled([*records, *bundle("a", item("x")).records()])


def test_an_object_that_is_too_large_is_refused_by_name() -> None:
    huge = item("huge")
    large = Item(
        id=huge.id, version="v1", body=b"x" * 10_000_001, digest="d", file="huge.yaml", line=1
    )
    with pytest.raises(PermanentError, match=r"huge\.yaml: ConfigMap shop/huge"):
        bundle("a", large)
