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
        self._ended = float("-inf")
        """When the last group was worked off."""
        self._in_burst = 0
        """Groups of the burst that were handed over."""

    def touch(self, newcomer: Envelope) -> None:
        """Say that something came."""
        if self._window is None or not isinstance(newcomer.message, self._window.aside):
            self._touched.set()

    async def wait_closed(
        self, pending: Callable[[], list[Envelope]], draining: asyncio.Event
    ) -> None:
        """Return when nothing came for a while, or somebody waits, or it took long enough."""
        if self._window is None:
            return
        if self._since_the_last() >= self._window.soon(pending()):
            self._in_burst = 0
        self._in_burst += 1
        if self._in_burst > self._window.first:
            await self._gather(self._window, pending, draining)

    def end(self) -> None:
        """Say that what was handed over is worked off."""
        self._ended = asyncio.get_running_loop().time()

    def _since_the_last(self) -> float:
        return asyncio.get_running_loop().time() - self._ended

    async def _gather(
        self, window: Window, pending: Callable[[], list[Envelope]], draining: asyncio.Event
    ) -> None:
        loop = asyncio.get_running_loop()
        latest = loop.time() + window.max_wait
        while not draining.is_set() and _is_open(window, pending()):
            self._touched.clear()
            quiet = max(window.quiet, window.longer(pending()))
            try:
                async with asyncio.timeout(max(min(quiet, latest - loop.time()), 0)):
                    await self._touched.wait()
            except TimeoutError:
                return


def _is_open(window: Window, pending: list[Envelope]) -> bool:
    messages = [envelope.message for envelope in pending]
    somebody_waits = any(isinstance(one, window.at_once) for one in messages)
    return not somebody_waits and not all(isinstance(one, window.aside) for one in messages)
