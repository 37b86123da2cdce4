"""Where bundles are kept: the stream of each sync, on which the newest one counts."""

import asyncio
from contextlib import aclosing

from shared.bundle.format import Assembler, Bundle
from shared.bus import names
from shared.bus.port import Bus

SILENCE = 0.25
"""Seconds without a record after which a stream is taken as read to its end."""


async def publish(bus: Bus, bundle: Bundle) -> None:
    """Publish *bundle* to its sync's stream, confirmed."""
    header = bundle.header
    await bus.append(names.state_key(header.target, header.sync), bundle.records())


class Shelf:
    """The newest bundle of one sync, as far as it was read."""

    def __init__(self, bus: Bus, target: str, sync: str) -> None:
        self._bus = bus
        self._stream = names.state_stream(target, sync)
        self._offset: int | str = "first"
        self._newest: Bundle | None = None

    @property
    def last(self) -> Bundle | None:
        """The newest bundle that was read so far."""
        return self._newest

    async def newest(self, digest: str = "", *, timeout: float = 10.0) -> Bundle | None:
        """
        Return the newest bundle.

        With *digest* read until that one is there, *timeout* seconds at most; without, or if it
        never comes, until the stream is silent.
        """
        if digest and self._newest and self._newest.digest == digest:
            return self._newest
        assembler = Assembler()
        patience = timeout if digest else SILENCE
        async with aclosing(self._bus.read(self._stream, self._offset)) as records:
            try:
                while True:
                    async with asyncio.timeout(patience):
                        record = await anext(records)
                    whole = assembler.take(record.headers, record.body)
                    if whole is None:
                        continue
                    self._newest, self._offset = whole, record.offset + 1
                    if whole.digest == digest:
                        return whole
            except TimeoutError:
                return self._newest
