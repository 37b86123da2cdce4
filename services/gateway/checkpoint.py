"""
The view on disk, with its place in the log, so that a restart reads only what came since.

A cache: lost, broken, of another version or of another configuration it costs the time to read the
log from its beginning, and that is told. Written beside the old one and moved over it, so that a
crash leaves one of both. Read `domain.memory` for what it holds.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import TypeVar

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from services.gateway.domain import memory
from services.gateway.domain.memory import Thing

logger = structlog.get_logger(__name__)

LARGEST = 64_000_000
"""Bytes; a larger view is read from the log."""
LONGEST_HEADER = 10_000
TURN = 0.01
"""Seconds that reading and writing may hold the event loop at a time."""

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The last event that the view has folded."""

    offset: int
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What was known at a place of the log."""

    place: Place
    things: Sequence[Thing]


class _Version(BaseModel):
    """All that every version has in its first line."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int


class _Header(_Version):
    """The first line of the file."""

    of: str
    """Which repositories and syncs it is about: events of others were not folded."""
    offset: int
    id: str
    sha256: str
    """Of all other lines."""


class Checkpoint:
    """Keeps the view of the configuration *of* in the file *path*."""

    def __init__(self, path: Path, *, of: str, largest: int = LARGEST) -> None:
        self._path = path
        self._of = of
        self._largest = largest
        self._unwritten = ""
        self._writing = Lock()

    async def save(self, place: Place, known: Iterable[Thing]) -> None:
        """Write what is *known* at *place*; that it can't be written is told once."""
        lines = await _in_turns(known, memory.line)
        try:
            await asyncio.to_thread(self._write, place, lines)
        except (OSError, ValueError) as error:
            self._tell_unwritten(str(error))
        else:
            self._unwritten = ""

    async def load(self) -> Saved | None:
        """Return what was saved last, or None where that can't be used."""
        try:
            header, lines = await asyncio.to_thread(self._read)
            things = await _in_turns(lines, memory.read)
        except FileNotFoundError:
            return None
        except OSError as error:
            logger.warning("checkpoint not read", path=str(self._path), reason=str(error))
            return None
        except ValueError as error:
            await self.forget(str(error))
            return None
        return Saved(place=Place(offset=header.offset, id=header.id), things=things)

    async def forget(self, reason: str) -> None:
        """Throw the file away."""
        logger.warning(
            "checkpoint thrown away; the log is read from its beginning",
            path=str(self._path),
            reason=reason,
        )
        with suppress(OSError):  # the next one is written over it
            await asyncio.to_thread(self._path.unlink, missing_ok=True)

    def _write(self, place: Place, lines: Sequence[bytes]) -> None:
        text = b"".join(lines)
        if len(text) > self._largest:
            raise ValueError(f"it would have {len(text)} bytes, {self._largest} are allowed")
        header = _Header(
            version=memory.VERSION,
            of=self._of,
            offset=place.offset,
            id=place.id,
            sha256=sha256(text).hexdigest(),
        )
        # One that was begun before a stop may still be at it.
        with self._writing:
            _replace(self._path, header.model_dump_json().encode() + b"\n", text)

    def _read(self) -> tuple[_Header, Sequence[bytes]]:
        size = self._path.stat().st_size
        if size > self._largest + LONGEST_HEADER:
            raise ValueError(f"it has {size} bytes, {self._largest} are allowed")
        first, _, rest = self._path.read_bytes().partition(b"\n")
        header = _header(first)
        if header.of != self._of:
            raise ValueError("it is about another target or other syncs than flux.yaml")
        if header.sha256 != sha256(rest).hexdigest():
            raise ValueError("it is not whole")
        return header, rest.splitlines()

    def _tell_unwritten(self, reason: str) -> None:
        if reason != self._unwritten:
            logger.warning("checkpoint not written", path=str(self._path), reason=reason)
        self._unwritten = reason


def _header(line: bytes) -> _Header:
    try:
        found = _Version.model_validate_json(line).version
        if found != memory.VERSION:
            raise ValueError(f"it is of version {found}, and this gateway reads {memory.VERSION}")
        return _Header.model_validate_json(line)
    except ValidationError as error:
        raise ValueError("its first line can't be read") from error


def _replace(path: Path, *parts: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}")
    try:
        with beside.open("wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


async def _in_turns(items: Iterable[A], work: Callable[[A], B]) -> list[B]:
    """Do *work* for all *items*, and give others their turn meanwhile."""
    done, since = [], time.monotonic()
    for item in items:
        done.append(work(item))
        if time.monotonic() - since > TURN:
            await asyncio.sleep(0)
            since = time.monotonic()
    return done
