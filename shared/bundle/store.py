"""Where bundles are kept: the stream of each sync, on which the newest one counts."""

import asyncio
from collections import deque
from contextlib import aclosing

import structlog

from shared.bundle.format import Assembler, Bundle
from shared.bundle.sealing import Opener
from shared.bus import names
from shared.bus.port import Bus

logger = structlog.get_logger(__name__)

SILENCE = 0.25
"""Seconds without a record after which a stream is taken as read to its end."""
LATE = 2.0
"""The same where one bundle is wanted and another is at hand: the wanted one was confirmed before
it was told, so it is there by then, or the stream has dropped it for newer ones."""
SEEN = 100
"""Digests that are remembered of what was read."""


async def publish(bus: Bus, bundle: Bundle) -> None:
    """Publish *bundle* to its sync's stream, confirmed."""
    header = bundle.header
    await bus.append(names.state_key(header.target, header.sync), bundle.records())


class Shelf:
    """The newest bundle of one sync, as far as it was read."""

    def __init__(self, bus: Bus, target: str, sync: str, *, opener: Opener | None = None) -> None:
        self._bus = bus
        self._stream = names.state_stream(target, sync)
        self._offset: int | str = "first"
        self._opener = opener
        self._newest: Bundle | None = None
        self._seen: deque[str] = deque(maxlen=SEEN)
        self._one_at_a_time = asyncio.Lock()

    @property
    def last(self) -> Bundle | None:
        """The newest bundle that was read so far."""
        return self._newest

    async def newest(self, digest: str = "", *, timeout: float = 10.0) -> Bundle | None:
        """
        Return the newest bundle.

        With *digest* read until that one is there, *timeout* seconds at most. One that was read
        before is not waited for again, but may have come again: a branch that was moved back
        declares what it declared then. Without, or if it never comes, read until the stream is
        silent.
        """
        async with self._one_at_a_time:
            if not digest or self._newest is None or self._newest.digest != digest:
                await self._read(digest, self._patience(digest, timeout))
        return self._newest

    async def _read(self, digest: str, patience: float) -> None:
        assembler = Assembler(self._opener, self._newest)
        async with aclosing(self._bus.read(self._stream, self._offset)) as records:
            try:
                while True:
                    async with asyncio.timeout(patience):
                        record = await anext(records)
                    whole = assembler.take(record.headers, record.body)
                    if whole is None:
                        continue
                    self._newest, self._offset = whole, record.offset + 1
                    self._seen.append(whole.digest)
                    if whole.digest == digest:
                        return
            except TimeoutError:
                logger.debug("stream silent", stream=self._stream, wanted=digest)

    def _patience(self, digest: str, timeout: float) -> float:
        if not digest or digest in self._seen:
            return SILENCE
        return min(timeout, LATE) if self._newest else timeout
