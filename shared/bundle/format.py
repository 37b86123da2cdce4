"""
The bundle on the wire: records of a stream, the first with header and index, then the chunks.

The bytes of an object are the body of its server-side apply, so that nobody decodes what did not
change. Chunks are compressed by themselves: the applier opens only those that it needs, and what
did not change is not compressed again.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from shared.bundle.sealing import REMEDY, Opener
from shared.manifests import ObjectId
from shared.runtime.errors import PermanentError

VERSION = "1"
PARTIAL = 4
"""Bundles that are put together at a time; of two writers on one stream neither is lost."""
Headers = Mapping[str, str]


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
    encrypted: tuple[Place, ...] = ()
    """Files as they lie in git, for who can decrypt them."""


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
                self._opened[place.chunk] = zlib.decompress(self.chunks[place.chunk])
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
            for number, body in enumerate((head, *self.chunks))
        ]


def digest_of(body: bytes) -> str:
    """Return the fingerprint of an object's body."""
    return sha256(body).hexdigest()[:16]


def encoded(header: Header) -> bytes:
    """Return a header as it travels, before compression."""
    return header.model_dump_json().encode()


def whole_digest(encoded: bytes) -> str:
    """Return the fingerprint of a bundle whose header is this."""
    return sha256(encoded).hexdigest()[:32]


class Assembler:
    """Puts bundles together from a stream's records; torn, doubled and mixed ones do no harm."""

    def __init__(self, opener: Opener | None = None) -> None:
        self._opener = opener
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
        return _whole(digest, [parts[n] for n in range(count)], self._opener)


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


def _whole(digest: str, parts: Sequence[bytes], opener: Opener | None) -> Bundle | None:
    """Return the bundle of *parts*, or nothing where they are not what their digest says."""
    try:
        encoded = zlib.decompress(parts[0])
        if whole_digest(encoded) != digest:
            return None
        header = Header.model_validate_json(encoded)
    except (zlib.error, ValueError):
        return None
    if any(one.chunk >= len(parts) - 1 for one in (*header.index, *header.encrypted)):
        return None
    return Bundle(header=header, chunks=tuple(parts[1:]), digest=digest, opener=opener)
