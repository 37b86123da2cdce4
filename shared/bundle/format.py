"""
The bundle on the wire: records of a stream, the first with header and index, then the chunks.

The bytes of an object are the body of its server-side apply, so that nobody decodes what did not
change. Chunks are compressed by themselves: the applier opens only those that it needs, and what
did not change is not compressed again.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from shared.manifests import ObjectId
from shared.runtime.errors import PermanentError

VERSION = "1"
CHUNK = 512_000
"""Bytes of objects, before compression, after which a chunk is closed."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A header, and the chunks that it indexes, compressed."""

    header: Header
    chunks: tuple[bytes, ...]
    digest: str
    """Of all that matters: equal bundles have equal digests."""
    _opened: dict[int, bytes] = field(default_factory=dict, compare=False, repr=False)

    def object(self, entry: Entry) -> bytes:
        """Return the body of an object."""
        if entry.chunk not in self._opened:
            self._opened.clear()  # objects are asked for in order: one open chunk is enough
            self._opened[entry.chunk] = zlib.decompress(self.chunks[entry.chunk])
        return self._opened[entry.chunk][entry.offset : entry.offset + entry.length]

    def records(self) -> Sequence[tuple[Headers, bytes]]:
        """Return the records by which it travels."""
        head = zlib.compress(self.header.model_dump_json().encode(), 1)
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


def pack(header: Header, items: Iterable[Item]) -> Bundle:
    """
    Return the bundle of *items*; the header's index is filled in.

    Raises:
        PermanentError: an object is too large; it is named.
    """
    chunks: list[bytes] = []
    index: list[Entry] = []
    parts: list[bytes] = []
    size = 0
    for item in items:
        if len(item.body) > LARGEST:
            raise PermanentError(f"{item.file}: {item.id} has {len(item.body)} bytes, too many")
        if parts and size + len(item.body) > CHUNK:
            chunks.append(_compressed(b"".join(parts)))
            parts, size = [], 0
        index.append(_entry(item, len(chunks), size))
        parts.append(item.body)
        size += len(item.body)
    if parts:
        chunks.append(_compressed(b"".join(parts)))
    header = header.model_copy(update={"index": tuple(index)})
    return Bundle(header=header, chunks=tuple(chunks), digest=_digest(header))


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
    )


def _digest(header: Header) -> str:
    return sha256(header.model_dump_json().encode()).hexdigest()[:32]


@lru_cache(maxsize=64)
def _compressed(data: bytes) -> bytes:
    return zlib.compress(data, 1)


class Assembler:
    """Puts bundles together from the records of a stream; torn and doubled ones do no harm."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[int, bytes]] = {}

    def take(self, headers: Headers, body: bytes) -> Bundle | None:
        """Take a record in; return the bundle that it completes."""
        digest = headers.get("flux-digest", "")
        if headers.get("flux-bundle") != VERSION or not digest:
            return None
        number, count = int(headers["flux-part"]), int(headers["flux-parts"])
        if number == 0:
            self._parts = {digest: {}}  # an older one that is not whole by now never will be
        parts = self._parts.setdefault(digest, {})
        parts[number] = body
        if set(parts) != set(range(count)):
            return None
        del self._parts[digest]
        header = Header.model_validate_json(zlib.decompress(parts[0]))
        chunks = tuple(parts[n] for n in range(1, count))
        return Bundle(header=header, chunks=chunks, digest=digest)
