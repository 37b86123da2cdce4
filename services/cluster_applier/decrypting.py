"""
Decrypts the files of bundles, in memory: what they declare joins the objects of their bundle.

A file that stays the same is decrypted once. One that can't be decrypted is a problem by itself; as
long as there is one, nothing of its sync is deleted. The digests of objects are made of their files
as they lie in git: by digests of values somebody could try guesses of them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from shared.bundle.chunks import Entry, Place, digest_of
from shared.bundle.format import Bundle, Header
from shared.bundle.packing import Item, joined
from shared.bundle.render import File, read, render
from shared.contract import ObjectResult
from shared.runtime.errors import PermanentError, TemporaryError
from shared.runtime.tasks import each

logger = structlog.get_logger(__name__)

AT_ONCE = 4
ENOUGH = 3
"""After so many that nobody answered for, the others of a bundle are not tried in this look."""
AGAIN = 1.0
"""Seconds for which a failure holds for who merely asks what another sync declares."""

_UNTRIED = "not tried: other encrypted files had no answer; tried again soon"

Decrypt = Callable[[bytes], Awaitable[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A part of an encrypted file that can't be applied."""

    file: str
    reason: str
    line: int | None = None
    """Of the file as sops shows it."""
    passing: bool = False
    """It may work a little later."""

    @property
    def result(self) -> ObjectResult:
        """What is told of it."""
        name = f"EncryptedFile {self.file}"
        return ObjectResult(
            id=name, action="failed", message=self.reason, file=self.file, line=self.line
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A bundle with the objects of its encrypted files."""

    bundle: Bundle
    unread: tuple[Unread, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    digest: str
    """Of the bundle as it travelled."""
    opened: Opened
    at: float


_Read = File | Unread
_Key = tuple[str, ...]


class Decrypting:
    """Of one target."""

    def __init__(self, decrypt: Decrypt) -> None:
        self._decrypt = decrypt
        self._files: dict[str, Mapping[_Key, File]] = {}
        """By sync."""
        self._known: dict[str, _Known] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def opened(self, bundle: Bundle, *, at_most: float = AGAIN) -> Opened:
        """
        Return *bundle* with what its encrypted files declare, and what can't be read of them.

        What could not be read is tried again after *at_most* seconds.
        """
        header = bundle.header
        if not bundle.files:
            return Opened(bundle=bundle)
        async with self._turns.setdefault(header.sync, asyncio.Lock()):
            known = self._known.get(header.sync)
            if known is None or known.digest != bundle.digest or _is_due(known, at_most):
                opened = await self._open(bundle)
                _tell(header, opened, known.opened if known else None)
                known = _Known(digest=bundle.digest, opened=opened, at=_now())
                self._known[header.sync] = known
            return known.opened

    async def _open(self, bundle: Bundle) -> Opened:
        header = bundle.header
        before = self._files.get(header.sync, {})
        found: dict[_Key, _Read] = {
            _key(header, place): before[key]
            for place in bundle.files
            if (key := _key(header, place)) in before
        }

        async def look(place: Place) -> None:
            late = sum(isinstance(one, Unread) and one.passing for one in found.values())
            if late < ENOUGH:
                found[_key(header, place)] = await self._read(bundle, place)
            else:
                found[_key(header, place)] = Unread(file=place.file, reason=_UNTRIED, passing=True)

        new = [one for one in bundle.files if _key(header, one) not in found]
        await each(new, look, at_once=AT_ONCE, name="decrypt")
        read_ = [found[_key(header, place)] for place in bundle.files]
        self._files[header.sync] = {key: one for key, one in found.items() if isinstance(one, File)}
        return await asyncio.to_thread(_joined, bundle, read_)

    async def _read(self, bundle: Bundle, place: Place) -> _Read:
        try:
            text = await self._decrypt(bundle.object(place))
        except PermanentError as error:
            return Unread(file=place.file, reason=str(error))
        except TemporaryError as error:
            return Unread(file=place.file, reason=str(error), passing=True)
        return await asyncio.to_thread(_rendered, text, place, bundle.header)


def _rendered(text: bytes, place: Place, header: Header) -> _Read:
    """Return what a decrypted file declares, as it would be if it lay so in git."""
    file = read(
        place.file, text, default_namespace=header.default_namespace, mark_set=header.mark_set
    )
    if file.encrypted:
        return Unread(file=place.file, reason="it is encrypted twice; decrypt it once in git")
    seed = "\0".join(_key(header, place))
    items = (
        replace(item, digest=digest_of(f"{seed}\0{number}".encode()), encrypted=True)
        for number, item in enumerate(file.items)
    )
    return replace(file, items=tuple(items))


def _joined(bundle: Bundle, files: Sequence[_Read]) -> Opened:
    """Put the objects of *files* beside the others; of two of one object the first counts."""
    rendered = render(one for one in files if isinstance(one, File))
    there = {entry.id: entry for entry in bundle.objects}
    unread = (
        *(one for one in files if isinstance(one, Unread)),
        *(Unread(file=one.file, line=one.line, reason=one.message) for one in rendered.problems),
        *(_twice(item, there[item.name]) for item in rendered.items if item.name in there),
    )
    whole = joined(
        bundle,
        (item for item in rendered.items if item.name not in there),
        problems=bundle.header.problems + len(unread),
        skipped=(*bundle.header.skipped, *rendered.skipped),
    )
    return Opened(bundle=whole, unread=unread)


def _twice(item: Item, known: Entry) -> Unread:
    reason = f"{item.id} is declared already in {known.file}:{known.line}; remove one of them"
    return Unread(file=item.file, line=item.line, reason=reason)


def _key(header: Header, place: Place) -> _Key:
    """Return what the objects of a file depend on."""
    return place.file, place.digest, header.mark_set, header.default_namespace


def _is_due(known: _Known, at_most: float) -> bool:
    return bool(known.opened.unread) and _now() - known.at >= at_most


def _now() -> float:
    return asyncio.get_running_loop().time()


def _tell(header: Header, opened: Opened, before: Opened | None) -> None:
    for one in opened.unread:
        if before is None or one not in before.unread:
            where = {"sync": header.sync, "file": one.file, "line": one.line}
            logger.error("encrypted file not applied", **where, reason=one.reason)
