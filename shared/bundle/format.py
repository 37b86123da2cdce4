"""
The bundle on the wire: records of a stream, the first with the header, then the chunks.

Each chunk lists what it holds. So a commit that changes one object of thousands costs one chunk:
the others are neither made nor read again.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from shared.bundle import chunks
from shared.bundle.chunks import Chunk, Entry, Place, whole_digest
from shared.bundle.sealing import REMEDY, Opener
from shared.runtime.errors import PermanentError

VERSION = "2"
PARTIAL = 4
"""Bundles that are put together at a time; of two writers on one stream neither is lost."""
Headers = Mapping[str, str]


class Header(BaseModel):
    """What the fences need, and what the bundle holds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

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
    sealed_to: str = ""
    """Tells public keys apart: with a new pair all is published anew. Empty: nothing is sealed."""
    chunks: tuple[str, ...] = ()
    """Digests of what the chunks list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A header, and the chunks that it names."""

    header: Header
    chunks: tuple[Chunk, ...]
    digest: str
    """Of all that matters: equal bundles have equal digests."""
    opener: Opener | None = field(default=None, compare=False, repr=False)
    _opened: dict[int, bytes] = field(default_factory=dict, compare=False, repr=False)

    @property
    def objects(self) -> tuple[Entry, ...]:
        """All objects that it holds open, in order."""
        return tuple(one for chunk in self.chunks for one in chunk.objects)

    @property
    def files(self) -> tuple[Place, ...]:
        """Files as they lie in git, for who can decrypt them."""
        return tuple(one for chunk in self.chunks for one in chunk.files)

    def object(self, place: Place) -> bytes:
        """
        Return the body of an object, or a file, opened if it was sealed.

        Raises:
            PermanentError: its chunk is damaged, or it was not sealed to our key.
        """
        body = self._body(place)
        if not place.sealed:
            return body
        if self.opener is None:
            raise PermanentError(f"it is sealed, and there is no private key; {REMEDY}")
        return self.opener.open(body)

    def _body(self, place: Place) -> bytes:
        if place.chunk not in self._opened:
            self._opened.clear()  # objects are asked for in order: one open chunk is enough
            try:
                self._opened[place.chunk] = self.chunks[place.chunk].opened()
            except zlib.error as error:
                raise PermanentError(
                    f"the bundle of {self.header.sync} is damaged where {place.name} is: {error};"
                    " it is published anew when its branch changes"
                ) from error
        return self._opened[place.chunk][place.offset : place.offset + place.length]

    def records(self) -> Sequence[tuple[Headers, bytes]]:
        """Return the records by which it travels."""
        head = zlib.compress(encoded(self.header), 1)
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
            for number, body in enumerate((head, *(one.record for one in self.chunks)))
        ]


def encoded(header: Header) -> bytes:
    """Return a header as it travels, before compression."""
    return header.model_dump_json().encode()


class Assembler:
    """
    Puts bundles together from a stream's records; torn, doubled and mixed ones do no harm.

    What a bundle has in common with the *last* one is not read again.
    """

    def __init__(self, opener: Opener | None = None, last: Bundle | None = None) -> None:
        self._opener = opener
        self._last = last
        self._parts: dict[str, dict[int, bytes]] = {}

    def take(self, headers: Headers, body: bytes) -> Bundle | None:
        """Take a record in; return the bundle that it completes."""
        place = _part(headers)
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
        whole = _whole(digest, [parts[n] for n in range(count)], self._opener, self._last)
        self._last = whole or self._last
        return whole


def _part(headers: Headers) -> tuple[str, int, int] | None:
    """Return the digest of a record's bundle, its number there, and how many there are."""
    digest = headers.get("flux-digest", "")
    try:
        number, count = int(headers["flux-part"]), int(headers["flux-parts"])
    except (KeyError, ValueError):
        return None
    if headers.get("flux-bundle") != VERSION or not digest or not 0 <= number < count:
        return None
    return digest, number, count


def _whole(
    digest: str, parts: Sequence[bytes], opener: Opener | None, last: Bundle | None
) -> Bundle | None:
    """Return the bundle of *parts*, or nothing where they are not what their digest says."""
    try:
        encoded = zlib.decompress(parts[0])
        if whole_digest(encoded) != digest:
            return None
        header = Header.model_validate_json(encoded)
        known = {one.record: one for one in last.chunks} if last else {}
        chunks = tuple(_chunk(record, n, known) for n, record in enumerate(parts[1:]))
    except (zlib.error, ValueError):
        return None
    if tuple(one.digest for one in chunks) != header.chunks:
        return None
    return Bundle(header=header, chunks=chunks, digest=digest, opener=opener)


def _chunk(record: bytes, number: int, known: Mapping[bytes, Chunk]) -> Chunk:
    # Its list names its number, so that the same bytes are the same chunk.
    return known.get(record) or chunks.read(record, number)
