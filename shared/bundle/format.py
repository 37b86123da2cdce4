"""
The bundle on the wire: records of a stream, the first with header and index, then the chunks.

The bytes of an object are the body of its server-side apply, so that nobody decodes what did not
change. Chunks are compressed by themselves: the applier opens only those that it needs, and what
did not change is not compressed again.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from shared.bundle.sealing import REMEDY, Opener
from shared.manifests import ObjectId
from shared.runtime.errors import PermanentError

VERSION = "1"
CHUNK = 512_000
"""Bytes of objects, before compression, that a chunk holds at most, unless one object is more."""
SETTLED = 256_000
"""Bytes from which on a chunk is closed where an object's name says so: then the chunks behind
an object that grew, came or went are the same as before, and are not compressed again."""
ONE_IN = 32
PARTIAL = 4
"""Bundles that are put together at a time; of two writers on one stream neither is lost."""
LARGEST = 10_000_000
"""Bytes of one object; etcd itself takes no more than 1.5 MB."""

Headers = Mapping[str, str]


class Entry(BaseModel):
    """Where an object is in the bundle, and what it is."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    """As `ObjectId` writes it."""
    version: str
    """Of the kind's API: `v1`."""
    digest: str
    file: str
    line: int | None = None
    chunk: int
    offset: int
    length: int
    sealed: bool = False
    """Whether it is to be opened with the target's private key."""

    @property
    def object_id(self) -> ObjectId:
        """The id, read."""
        return ObjectId.parse(self.id)


class Header(BaseModel):
    """What the fences need, and what the bundle holds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: ClassVar[str] = VERSION

    sync: str
    target: str
    repository: str
    url: str
    branch: str = ""
    revision: str
    height: int = 0
    """First parents below the revision."""
    ancestors: tuple[str, ...] = ()
    """By first parents, the newest first; 200 at most."""
    rewritten: bool = False
    """The revision before was no ancestor of this one."""
    generation: int = 0
    """Of the configuration that it was rendered with."""
    default_namespace: str = "default"
    problems: int = 0
    """Parts of the desired state that could not be read: then nothing is pruned."""
    skipped: tuple[str, ...] = ()
    """Objects that git declares to be ignored: neither applied nor pruned."""
    mark_set: str = ""
    """What the marks of its objects are made with, see `shared.manifests.marks`."""
    index: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An object to put into a bundle."""

    id: ObjectId
    version: str
    body: bytes
    digest: str
    file: str
    line: int | None
    sealed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A header, and the chunks that it indexes, compressed."""

    header: Header
    chunks: tuple[bytes, ...]
    digest: str
    """Of all that matters: equal bundles have equal digests."""
    sums: tuple[bytes, ...] = field(default=(), compare=False, repr=False)
    """Of the chunks before compression, where they were compressed here."""
    opener: Opener | None = field(default=None, compare=False, repr=False)
    _opened: dict[int, bytes] = field(default_factory=dict, compare=False, repr=False)

    def object(self, entry: Entry) -> bytes:
        """
        Return the body of an object, opened if it was sealed.

        Raises:
            PermanentError: its chunk is damaged, or it was not sealed to our key.
        """
        body = self._body(entry)
        if not entry.sealed:
            return body
        if self.opener is None:
            raise PermanentError(f"it is sealed, and there is no private key; {REMEDY}")
        return self.opener.open(body)

    def _body(self, entry: Entry) -> bytes:
        if entry.chunk not in self._opened:
            self._opened.clear()  # objects are asked for in order: one open chunk is enough
            try:
                self._opened[entry.chunk] = zlib.decompress(self.chunks[entry.chunk])
            except zlib.error as error:
                raise PermanentError(
                    f"the bundle of {self.header.sync} is damaged where {entry.id} is: {error};"
                    " it is published anew when its branch changes"
                ) from error
        return self._opened[entry.chunk][entry.offset : entry.offset + entry.length]

    def records(self) -> Sequence[tuple[Headers, bytes]]:
        """Return the records by which it travels."""
        head = zlib.compress(_encoded(self.header), 1)
        return [
            (
                {
                    "flux-bundle": VERSION,
                    "flux-digest": self.digest,
                    "flux-revision": self.header.revision,
                    "flux-part": str(number),
                    "flux-parts": str(len(self.chunks) + 1),
                },
                body,
            )
            for number, body in enumerate((head, *self.chunks))
        ]


def digest_of(body: bytes) -> str:
    """Return the fingerprint of an object's body."""
    return sha256(body).hexdigest()[:16]


def pack(header: Header, items: Iterable[Item], before: Bundle | None = None) -> Bundle:
    """
    Return the bundle of *items*; the header's index is filled in.

    Chunks that *before* has as well are not compressed again.

    Raises:
        PermanentError: an object is too large; it is named.
    """
    known = dict(zip(before.sums, before.chunks, strict=True)) if before else {}
    sums: list[bytes] = []
    chunks: list[bytes] = []
    index: list[Entry] = []
    for number, some in enumerate(_chunked(items)):
        data = b"".join(item.body for item in some)
        sums.append(blake2b(data, digest_size=16).digest())
        chunks.append(known.get(sums[-1]) or zlib.compress(data, 1))
        offset = 0
        for item in some:
            index.append(_entry(item, number, offset))
            offset += len(item.body)
    header = header.model_copy(update={"index": tuple(index)})
    digest = _digest(_encoded(header))
    return Bundle(header=header, chunks=tuple(chunks), digest=digest, sums=tuple(sums))


def _chunked(items: Iterable[Item]) -> Iterator[list[Item]]:
    some: list[Item] = []
    size = 0
    for item in items:
        if len(item.body) > LARGEST:
            raise PermanentError(f"{item.file}: {item.id} has {len(item.body)} bytes, too many")
        if some and size + len(item.body) > CHUNK:
            yield some
            some, size = [], 0
        some.append(item)
        size += len(item.body)
        if size >= SETTLED and zlib.crc32(str(item.id).encode()) % ONE_IN == 0:
            yield some
            some, size = [], 0
    if some:
        yield some


def _entry(item: Item, chunk: int, offset: int) -> Entry:
    return Entry(
        id=str(item.id),
        version=item.version,
        digest=item.digest,
        file=item.file,
        line=item.line,
        chunk=chunk,
        offset=offset,
        length=len(item.body),
        sealed=item.sealed,
    )


def _encoded(header: Header) -> bytes:
    return header.model_dump_json().encode()


def _digest(encoded: bytes) -> str:
    return sha256(encoded).hexdigest()[:32]


class Assembler:
    """Puts bundles together from a stream's records; torn, doubled and mixed ones do no harm."""

    def __init__(self, opener: Opener | None = None) -> None:
        self._opener = opener
        self._parts: dict[str, dict[int, bytes]] = {}

    def take(self, headers: Headers, body: bytes) -> Bundle | None:
        """Take a record in; return the bundle that it completes."""
        place = _place(headers)
        if place is None:
            return None
        digest, number, count = place
        parts = self._parts.setdefault(digest, {})
        parts[number] = body
        while len(self._parts) > PARTIAL:  # what is not whole by now never will be
            del self._parts[next(iter(self._parts))]
        if len(parts) < count:
            return None
        del self._parts[digest]
        return _whole(digest, [parts[n] for n in range(count)], self._opener)


def _place(headers: Headers) -> tuple[str, int, int] | None:
    """Return the digest of a record's bundle, its number there, and how many there are."""
    digest = headers.get("flux-digest", "")
    try:
        number, count = int(headers["flux-part"]), int(headers["flux-parts"])
    except (KeyError, ValueError):
        return None
    if headers.get("flux-bundle") != VERSION or not digest or not 0 <= number < count:
        return None
    return digest, number, count


def _whole(digest: str, parts: Sequence[bytes], opener: Opener | None) -> Bundle | None:
    """Return the bundle of *parts*, or nothing where they are not what their digest says."""
    try:
        encoded = zlib.decompress(parts[0])
        if _digest(encoded) != digest:
            return None
        header = Header.model_validate_json(encoded)
    except (zlib.error, ValueError):
        return None
    if any(entry.chunk >= len(parts) - 1 for entry in header.index):
        return None
    return Bundle(header=header, chunks=tuple(parts[1:]), digest=digest, opener=opener)
