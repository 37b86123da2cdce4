"""
Puts objects and whole files into the chunks of a bundle.

Chunks are compressed by themselves, and closed where an object's name says so: what did not change
is not compressed again, though an object before it grew, came or went.
"""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from shared.bundle import chunks
from shared.bundle.chunks import Chunk, Entry, Place, whole_digest
from shared.bundle.format import Bundle, Header, encoded
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
    Return the bundle of *items*, objects and files; the header's list of chunks is filled in.

    Chunks that *before* has as well are not made again.

    Raises:
        PermanentError: an object is too large; it is named.
    """
    known = {one.made_of[0].name: one for one in before.chunks if one.made_of} if before else {}
    parts = [
        _chunk(tuple(some), number, known.get(some[0].name))
        for number, some in enumerate(_chunked(items))
    ]
    header = _listing(header, parts)
    return Bundle(header=header, chunks=tuple(parts), digest=whole_digest(encoded(header)))


def joined(bundle: Bundle, items: Iterable[Item], **header: Any) -> Bundle:
    """
    Return *bundle* with more objects, and what else its *header* says then.

    It stays in this process: its digest is that of no bundle on the wire.
    """
    parts = list(bundle.chunks)
    for some in _chunked(items):
        parts.append(_chunk(tuple(some), len(parts), None))
    listed = _listing(bundle.header.model_copy(update=header), parts)
    digest = whole_digest(bundle.digest.encode() + encoded(listed))
    return Bundle(header=listed, chunks=tuple(parts), digest=digest, opener=bundle.opener)


def _listing(header: Header, parts: Iterable[Chunk]) -> Header:
    return header.model_copy(update={"chunks": tuple(one.digest for one in parts)})


def _chunk(some: tuple[Piece, ...], number: int, before: Chunk | None) -> Chunk:
    """Return the chunk of *some*; where *before* holds the same, all or most of it is there."""
    same = before is not None and before.made_of == some
    if before and same and before.number == number:
        return before
    packed = before.packed if before and same else zlib.compress(_bytes(some), 1)
    return chunks.made(_places(some, number), number, packed, some)


def _bytes(some: Iterable[Piece]) -> bytes:
    return b"".join(item.body for item in some)


def _places(some: Iterable[Piece], chunk: int) -> Iterator[Place]:
    offset = 0
    for item in some:
        yield _place(item, chunk, offset)
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
