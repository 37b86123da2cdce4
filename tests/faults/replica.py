"""One replica that dies, freezes, and is started again with the next fault of its row."""

import asyncio
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from sandbox.installation import Installation
from sandbox.process import Child
from shared.runtime.faults import VARIABLE
from tests.faults.report import Tally
from tests.faults.seeded import Faults

_OFTEN = {"FLUX__SYNCS__0__GIT__POLL_INTERVAL": "3s", "FLUX__AUTOMATION__INTERVAL": "3s"}
"""What nobody was told of is found by a poll or a scan within seconds, not minutes."""
_ALSO_WELL = {0, -signal.SIGTERM}
"""How a replica ends that was told to: SIGTERM itself where it had hardly begun."""


class BrokenRuleError(AssertionError):
    """What was seen that must never be, in half a sentence."""


class Replica:
    """Keeps one process of a stage running, whatever happens to it."""

    def __init__(self, flux: Installation, name: str, faults: Faults, tally: Tally) -> None:
        self.name = name
        self.fault = ""
        self.fired: list[str] = []
        """What happened to it since the beginning of the round."""
        self._flux = flux
        self._faults = faults
        self._tally = tally
        self._told: signal.Signals | None = None

    async def keep(self) -> None:
        """Start it again and again, until cancelled."""
        while True:
            self._told = None
            self.fault = self._faults.next()
            await self._flux.launch(self.name, env={**_OFTEN, VARIABLE: self.fault})
            child = self._flux.children[self.name]
            thawing = asyncio.create_task(self._thaw(child), name=f"thaw {self.name}")
            try:
                self._ended(await child.wait())
            finally:
                thawing.cancel()

    def end(self, how: signal.Signals) -> None:
        """End it; `keep` starts it again."""
        child = self._flux.children.get(self.name)
        if child is not None and child.returncode is None:
            self._told = how
            with suppress(ProcessLookupError):
                os.kill(child.pid, how)

    def _ended(self, code: int) -> None:
        if code == -signal.SIGKILL:
            by_us = self._told is signal.SIGKILL
            self._count("SIGKILL" if by_us else self.fault.partition("=")[0])
            self._tally.crashes += 1
        elif code in _ALSO_WELL and self._told is signal.SIGTERM:
            self.fired.append("SIGTERM")
            self._tally.stops += 1
        else:
            raise BrokenRuleError(f"{self.name} ended by itself, exit code {code}")

    async def _thaw(self, child: Child) -> None:
        while True:
            await asyncio.sleep(0.1)
            if is_frozen(child.pid):
                self._count(self.fault.partition("=")[0])
                self._tally.freezes += 1
                await asyncio.sleep(self._faults.freeze())
                with suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGCONT)
                await asyncio.sleep(0.1)

    def _count(self, point: str) -> None:
        what = point if point == "SIGKILL" else self.fault
        self.fired.append(f"{time.strftime('%H:%M:%S')} {what}")
        self._tally.by_point[point] += 1


def is_frozen(pid: int) -> bool:
    """Tell whether a process is stopped."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    return False
