"""Secrets in a bundle: read by who holds the private key, and by nobody else."""

import stat
from pathlib import Path

import pytest

from shared.bundle import keys
from shared.bundle.format import Assembler, Bundle, Header
from shared.bundle.packing import Item, pack
from shared.bundle.sealing import OVERHEAD, Opener, Sealer, generate
from shared.manifests import ObjectId
from shared.runtime.errors import PermanentError

SECRET = b'{"kind":"Secret","data":{"password":"Y2FuYXJ5"}}'
PRIVATE, PUBLIC = generate()


def sealer(public: str = PUBLIC, key: bytes = b"k") -> Sealer:
    return Sealer(public_key=public, fingerprint_key=key)


def travelled(opener: Opener | None, by: Sealer | None = None) -> Bundle:
    by = by or sealer()
    item = Item(
        id=ObjectId.parse("Secret shop/a"),
        version="v1",
        body=by.seal(SECRET),
        digest=by.digest_of(SECRET),
        file="a.yaml",
        line=1,
        sealed=True,
    )
    header = Header(sync="apps", target="default", repository="r", url="u", revision="a")
    assembler = Assembler(opener)
    for headers, body in pack(header, [item]).records():
        found = assembler.take(headers, body)
    assert found is not None
    return found


def test_who_holds_the_private_key_reads_what_was_sealed() -> None:
    found = travelled(Opener(PRIVATE))
    assert found.object(found.objects[0]) == SECRET


@pytest.mark.parametrize(
    ("opener", "told"),
    [(Opener(generate()[0]), "must be a pair"), (None, "there is no private key")],
)
def test_nobody_else_does_and_is_told_what_is_missing(opener: Opener | None, told: str) -> None:
    found = travelled(opener)
    with pytest.raises(PermanentError, match=told):
        found.object(found.objects[0])


def test_what_was_changed_on_its_way_is_not_opened() -> None:
    sealed = bytearray(sealer().seal(SECRET))
    sealed[-1] ^= 1
    with pytest.raises(PermanentError, match="it was changed on its way"):
        Opener(PRIVATE).open(bytes(sealed))


def test_equal_secrets_make_equal_bundles_though_they_are_sealed_anew() -> None:
    one, two = travelled(None), travelled(None)
    assert one.chunks != two.chunks
    assert one.digest == two.digest
    assert len(sealer().seal(SECRET)) == len(SECRET) + OVERHEAD


def test_a_fingerprint_tells_nothing_without_its_key() -> None:
    assert sealer(key=b"k").digest_of(SECRET) == sealer(key=b"k").digest_of(SECRET)
    assert sealer(key=b"k").digest_of(SECRET) != sealer(key=b"other").digest_of(SECRET)
    assert sealer(key=b"k").digest_of(SECRET) != sealer(key=b"k").digest_of(SECRET + b" ")


@pytest.mark.parametrize("key", ["", "no base64!", "c2hvcnQ="])
def test_what_is_no_key_is_told_with_the_remedy(key: str) -> None:
    with pytest.raises(PermanentError, match=r"shared\.bundle\.keys"):
        Opener(key)
    with pytest.raises(PermanentError, match=r"shared\.bundle\.keys"):
        sealer(key).seal(SECRET)


def test_a_pair_is_made_once_and_its_private_key_is_for_us_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "seal.key"
    assert keys.main([str(file)]) == 0
    public = capsys.readouterr().out.strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Opener(file.read_text().strip()).open(sealer(public).seal(SECRET)) == SECRET

    assert keys.main([str(file)]) == 1
    assert "name a new file" in capsys.readouterr().err
