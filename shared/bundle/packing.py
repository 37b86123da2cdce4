"""
Puts objects and whole files into the chunks of a bundle.

Chunks are compressed by themselves, and closed where an object's name says so: what did not change
is not compressed again, though an object before it grew, came or went.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from types import MappingProxyType
from typing import Any

from shared.bundle.format import Bundle, Entry, Header, Place, encoded, whole_digest
from shared.manifests import ObjectId
from shared.runtime.errors import PermanentError

CHUNK = 512_000
"""Bytes of objects, before compression, that a chunk holds at most, unless one object is more."""
SETTLED = 256_000
"""Bytes from which on a chunk is closed where an object's name says so: then the chunks behind
an object that grew, came or went are the same as before, and are not compressed again."""
ONE_IN = 32
LARGEST = 10_000_000
"""Bytes of one object; etcd itself takes no more than 1.5 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Bytes to put into a bundle; by itself an encrypted file, as it is."""

    body: bytes
    digest: str
    file: str
    sealed: bool = False

    @property
    def name(self) -> str:
        """What to call it."""
        return self.file


@dataclass(frozen=True, slots=True, kw_only=True)
class Item(Piece):
    """An object to put into a bundle, of which *body* is what is applied."""

    id: ObjectId
    version: str
    line: int | None
    encrypted: bool = False
    """Whether its file was."""

    @property
    def name(self) -> str:
        """What to call it."""
        return str(self.id)


def pack(header: Header, items: Iterable[Piece], before: Bundle | None = None) -> Bundle:
    """
    Return the bundle of *items*, objects and files; the header's lists of them are filled in.

    Chunks that *before* has as well are not compressed again, nor are its entries made again.

    Raises:
        PermanentError: an object is too large; it is named.
    """
    known = dict(zip(before.sums, before.chunks, strict=True)) if before else {}
    there = {one.id: one for one in before.header.index} if before else {}
    sums: list[bytes] = []
    chunks: list[bytes] = []
    places: list[Place] = []
    for number, some in enumerate(_chunked(items)):
        data = b"".join(item.body for item in some)
        sums.append(blake2b(data, digest_size=16).digest())
        chunks.append(known.get(sums[-1]) or zlib.compress(data, 1))
        places += _places(some, number, there)
    header = _listing(header, places)
    digest = whole_digest(encoded(header))
    return Bundle(header=header, chunks=tuple(chunks), digest=digest, sums=tuple(sums))


def joined(bundle: Bundle, items: Iterable[Item], **header: Any) -> Bundle:
    """
    Return *bundle* with more objects, and what else its *header* says then.

    It stays in this process: its digest is that of no bundle on the wire.
    """
    chunks = list(bundle.chunks)
    places: list[Place] = [*bundle.header.index, *bundle.header.encrypted]
    for some in _chunked(items):
        places += _places(some, len(chunks))
        chunks.append(zlib.compress(b"".join(item.body for item in some), 1))
    listed = _listing(bundle.header.model_copy(update=header), places)
    digest = whole_digest(bundle.digest.encode() + encoded(listed))
    return Bundle(header=listed, chunks=tuple(chunks), digest=digest, opener=bundle.opener)


def _listing(header: Header, places: Iterable[Place]) -> Header:
    """Return *header* with objects and files, each in its list."""
    index: list[Entry] = []
    encrypted: list[Place] = []
    for place in places:
        if isinstance(place, Entry):
            index.append(place)
        else:
            encrypted.append(place)
    return header.model_copy(update={"index": tuple(index), "encrypted": tuple(encrypted)})


def _places(
    some: Iterable[Piece], chunk: int, there: Mapping[str, Entry] = MappingProxyType({})
) -> Iterator[Place]:
    offset = 0
    for item in some:
        before = there.get(item.name)
        same = before is not None and _is_of(before, item, chunk, offset)
        yield before if before and same else _place(item, chunk, offset)
        offset += len(item.body)


def _chunked(items: Iterable[Piece]) -> Iterator[list[Piece]]:
    some: list[Piece] = []
    size = 0
    for item in items:
        if len(item.body) > LARGEST:
            raise PermanentError(f"{item.file}: {item.name} has {len(item.body)} bytes, too many")
        if some and size + len(item.body) > CHUNK:
            yield some
            some, size = [], 0
        some.append(item)
        size += len(item.body)
        if size >= SETTLED and zlib.crc32(item.name.encode()) % ONE_IN == 0:
            yield some
            some, size = [], 0
    if some:
        yield some


def _is_of(entry: Entry, item: Piece, chunk: int, offset: int) -> bool:
    """Tell whether an entry that is made already says all of an item."""
    return (
        isinstance(item, Item)
        and (entry.chunk, entry.offset, entry.length) == (chunk, offset, len(item.body))
        and (entry.digest, entry.version, entry.sealed) == (item.digest, item.version, item.sealed)
        and (entry.file, entry.line, entry.encrypted) == (item.file, item.line, item.encrypted)
    )


def _place(item: Piece, chunk: int, offset: int) -> Place:
    place = Place(
        digest=item.digest,
        file=item.file,
        chunk=chunk,
        offset=offset,
        length=len(item.body),
        sealed=item.sealed,
    )
    if not isinstance(item, Item):
        return place
    return Entry(
        **dict(place),
        id=item.name,
        version=item.version,
        line=item.line,
        encrypted=item.encrypted,
    )
