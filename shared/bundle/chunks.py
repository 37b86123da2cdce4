"""
A chunk: objects and files that travel together, behind a list of what they are.

Both are compressed by themselves, one zlib stream behind the other: the list is read without the
bytes, and the bytes are opened only where they are needed. The bytes of an object are the body of
its server-side apply, so that nobody decodes what did not change.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from pydantic import BaseModel, ConfigDict

from shared.manifests import ObjectId


class Place(BaseModel):
    """Where bytes are in the bundle."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    digest: str
    file: str
    """That they were read from."""
    chunk: int
    offset: int
    length: int
    sealed: bool = False
    """Whether they are to be opened with the target's private key."""

    @property
    def name(self) -> str:
        """What to call them."""
        return self.file


class Entry(Place):
    """Where an object is in the bundle, and what it is."""

    id: str
    """As `ObjectId` writes it."""
    version: str
    """Of the kind's API: `v1`."""
    line: int | None = None
    encrypted: bool = False
    """Whether its file was: then all its values are secret."""

    @property
    def name(self) -> str:
        """What to call it."""
        return self.id

    @property
    def object_id(self) -> ObjectId:
        """The id, read."""
        return ObjectId.parse(self.id)


class _List(BaseModel):
    """What a chunk holds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    objects: tuple[Entry, ...] = ()
    files: tuple[Place, ...] = ()
    """As they lie in git, for who can decrypt them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A part of a bundle."""

    number: int
    """Among the chunks of its bundle."""
    objects: tuple[Entry, ...]
    files: tuple[Place, ...]
    digest: str
    """Of the list: what is equal here is equally listed."""
    record: bytes = field(repr=False)
    """As it travels: the list and the bytes, compressed."""
    start: int
    """Of the bytes in the record."""
    made_of: tuple[Any, ...] = field(default=(), compare=False, repr=False)
    """The pieces that were put into it, where it was made here."""

    @property
    def packed(self) -> bytes:
        """The bytes, compressed."""
        return self.record[self.start :]

    def opened(self) -> bytes:
        """
        Return the bytes.

        Raises: zlib.error.
        """
        return zlib.decompress(self.packed)


def digest_of(body: bytes) -> str:
    """Return the fingerprint of an object's body."""
    return sha256(body).hexdigest()[:16]


def whole_digest(encoded: bytes) -> str:
    """Return the fingerprint of a list, or of a bundle whose header is this."""
    return sha256(encoded).hexdigest()[:32]


def made(places: Iterable[Place], number: int, packed: bytes, made_of: tuple[Any, ...]) -> Chunk:
    """Return the chunk of what is at *places* in the bytes that are *packed* already."""
    places = tuple(places)
    listed = _List(
        objects=tuple(one for one in places if isinstance(one, Entry)),
        files=tuple(one for one in places if not isinstance(one, Entry)),
    )
    text = listed.model_dump_json(exclude_defaults=True).encode()
    head = zlib.compress(text, 1)
    return Chunk(
        number=number,
        objects=listed.objects,
        files=listed.files,
        digest=whole_digest(text),
        record=head + packed,
        start=len(head),
        made_of=made_of,
    )


def read(record: bytes, number: int) -> Chunk:
    """
    Return the chunk that has travelled as *record*, the one of that *number*.

    Raises:
        ValueError: it is torn, or what it lists is not in it.
    """
    unpacking = zlib.decompressobj()
    try:
        text = unpacking.decompress(record)
    except zlib.error as error:
        raise ValueError(f"its list can't be read: {error}") from error
    listed = _List.model_validate_json(text)
    if any(one.chunk != number for one in (*listed.objects, *listed.files)):
        raise ValueError(f"it lists what is not in chunk {number}")
    return Chunk(
        number=number,
        objects=listed.objects,
        files=listed.files,
        digest=whole_digest(text),
        record=record,
        start=len(record) - len(unpacking.unused_data),
    )
