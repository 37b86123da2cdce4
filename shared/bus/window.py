"""Gathering: when the group of a subject is handed over."""

import asyncio
from collections.abc import Callable

from shared.bus.port import Window
from shared.contract import Envelope


class Gathering:
    """
    Waits until a subject's window closes; *touch* tells it of every newcomer.

    Without a window it never waits.
    """

    def __init__(self, window: Window | None) -> None:
        self._window = window
        self._touched = asyncio.Event()

    def touch(self) -> None:
        """Say that something came, or that waiting is over."""
        self._touched.set()

    async def wait_closed(
        self, pending: Callable[[], list[Envelope]], draining: asyncio.Event
    ) -> None:
        """Return when nothing came for a while, or somebody waits, or it took long enough."""
        window = self._window
        if window is None:
            return
        loop = asyncio.get_running_loop()
        latest = loop.time() + window.max_wait
        while not draining.is_set() and not _somebody_waits(window, pending()):
            self._touched.clear()
            left = min(window.quiet, latest - loop.time())
            try:
                async with asyncio.timeout(max(left, 0)):
                    await self._touched.wait()
            except TimeoutError:
                return


def _somebody_waits(window: Window, pending: list[Envelope]) -> bool:
    return any(isinstance(envelope.message, window.at_once) for envelope in pending)
