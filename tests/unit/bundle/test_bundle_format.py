"""A bundle survives its stream: torn, doubled, mixed up."""

import json
import random
import zlib
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

import pytest

from shared.bundle.chunks import digest_of
from shared.bundle.format import PARTIAL, Assembler, Bundle, Header
from shared.bundle.packing import CHUNK, Item, pack
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
    assert [found.object(entry) for entry in found.objects] == [one.body for one in items]
    assert [str(entry.object_id) for entry in found.objects] == [str(i.id) for i in items]


def test_equal_content_has_an_equal_digest_and_another_revision_another() -> None:
    assert bundle("a", item("x")).digest == bundle("a", item("x")).digest
    assert bundle("a", item("x")).digest != bundle("b", item("x")).digest


def test_a_torn_bundle_is_skipped_and_a_doubled_one_does_no_harm() -> None:
    big = [item(f"i{number}", 400_000) for number in range(4)]
    torn, whole = bundle("a", *big).records(), bundle("b", *big).records()
    found = assembled([*torn[:2], *whole, *whole])

    assert [one.header.revision for one in found] == ["b", "b"]


def test_of_two_bundles_that_are_written_at_once_none_is_lost() -> None:
    big = [item(f"i{number}", 400_000) for number in range(2)]
    one, two = bundle("a", *big).records(), bundle("b", *big).records()
    found = assembled([record for pair in zip(one, two, strict=True) for record in pair])

    assert [whole.header.revision for whole in found] == ["a", "b"]


def test_what_was_begun_and_never_ended_is_forgotten() -> None:
    assembler = Assembler()
    records = [bundle(f"r{number}", item("x")).records() for number in range(PARTIAL + 1)]
    for begun in records:
        assert assembler.take(*begun[0]) is None

    assert assembler.take(*records[-1][1]) is not None
    assert assembler.take(*records[0][1]) is None


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize(
    "change",
    [
        {"flux-part": "x"},
        {"flux-part": "-1"},
        {"flux-part": "7"},
        {"flux-parts": "0"},
        {"flux-digest": "other"},
        {"flux-bundle": "1"},
    ],
)
def test_a_record_that_lies_about_its_place_completes_nothing(
    part: int, change: dict[str, str]
) -> None:
    records = list(bundle("a", item("x")).records())
    headers, body = records[part]
    records[part] = ({**headers, **change}, body)

    assert not assembled(records)


@pytest.mark.parametrize("body", [b"", b"junk", zlib.compress(b"{}"), zlib.compress(b"[")])
def test_a_header_that_is_not_what_its_digest_says_is_no_bundle(body: bytes) -> None:
    (headers, _), *chunks = bundle("a", item("x")).records()
    assert not assembled([(headers, body), *chunks])


def list_of(text: str) -> bytes:
    return zlib.compress(text.encode())


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"junk",
        list_of("["),
        list_of("{}"),
        list_of('{"files":[{"digest":"d","file":"a","chunk":7,"offset":0,"length":1}]}'),
    ],
)
def test_a_chunk_that_does_not_list_what_the_header_says_makes_no_bundle(record: bytes) -> None:
    head, (headers, _) = bundle("a", item("x")).records()
    assert not assembled([head, (headers, record)])


def test_a_chunk_less_than_the_header_says_makes_no_bundle() -> None:
    records = bundle("a", item("x")).records()
    alone = [({**headers, "flux-parts": "1"}, body) for headers, body in records[:1]]
    assert not assembled(alone)


def test_a_header_with_more_than_we_know_is_read() -> None:
    (headers, body), *chunks = bundle("a", item("x")).records()
    newer = json.dumps({**json.loads(zlib.decompress(body)), "later": 1}).encode()
    digest = sha256(newer).hexdigest()[:32]
    records = [(headers, zlib.compress(newer)), *chunks]

    (found,) = assembled([({**one, "flux-digest": digest}, two) for one, two in records])
    assert found.header.revision == "a"


@pytest.mark.parametrize("kind", ["changed", "grown", "new", "gone"])
def test_one_change_leaves_most_chunks_as_they_were(kind: str) -> None:
    items = [item(f"i{number:04}", 4_000) for number in range(1_000)]
    before = bundle("a", *items)
    changed = {
        "changed": [item("i0300", 4_000), *items[301:]],
        "grown": [item("i0300", 9_000), *items[301:]],
        "new": [item("j", 4_000), *items[300:]],
        "gone": items[301:],
    }[kind]
    after = pack(before.header, [*items[:300], *changed], before)

    assert len(before.chunks) > 8
    assert len({one.packed for one in after.chunks} - {one.packed for one in before.chunks}) <= 2
    assert max(len(one.opened()) for one in after.chunks) <= CHUNK
    assert after == pack(before.header, [*items[:300], *changed])


def test_who_knows_the_bundle_before_makes_and_reads_only_what_changed() -> None:
    items = [item(f"i{number:04}", 4_000) for number in range(1_000)]
    before = bundle("a", *items)
    changed = [*items[:300], item("i0300", 4_100), *items[301:]]
    after = pack(before.header, changed, before)
    read = assembled([*before.records(), *after.records()])

    for old, new in ((before, after), read):
        again = [one for one, two in zip(new.chunks, old.chunks, strict=True) if one is not two]
        assert len(again) == 1
        assert "ConfigMap shop/i0300" in {one.id for one in again[0].objects}
    assert [read[1].object(one) for one in read[1].objects] == [
        after.object(one) for one in after.objects
    ]


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


def test_a_damaged_chunk_is_told_with_the_object_that_is_in_it() -> None:
    whole = bundle("r", item("a"))
    (chunk,) = whole.chunks
    torn = replace(chunk, record=chunk.record[:-5])
    damaged = replace(whole, chunks=(torn,))

    with pytest.raises(PermanentError, match="bundle of apps is damaged where ConfigMap shop/a is"):
        damaged.object(whole.objects[0])
