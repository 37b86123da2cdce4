"""
Named places at which a test may make a process fail, to see that nothing is lost by it.

Armed by `FLUX_FAULTS` in the environment of one process: `publish.after=crash@3` crashes it when it
comes past that place for the third time; several are separated by commas. What can happen: `crash`
(as by SIGKILL), `freeze` (as by SIGSTOP, until somebody thaws it), `delay:2.5` (seconds), `drop`
(every TCP connection of the process breaks). Not armed, a place costs a look at an empty table.
"""

import asyncio
import os
import re
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from shared.runtime.errors import PermanentError

logger = structlog.get_logger(__name__)

VARIABLE = "FLUX_FAULTS"

POINTS = frozenset(
    {
        *("publish.before", "publish.after", "ack.before", "ack.after"),
        *("fetch.after", "commit.before", "commit.after", "push.before", "push.after"),
        *("marker.before", "marker.after"),
        *("bundle.before", "bundle.after"),
        *("apply.before", "apply.after", "delete.before", "delete.after"),
        *("inventory.before", "inventory.after"),
    }
)
"""All places there are."""

_FAULT = re.compile(
    r"(?P<point>[a-z.]+)=(?P<what>crash|freeze|drop|delay:[0-9.]+)(?:@(?P<time>\d+))?"
)


@dataclass(slots=True, kw_only=True)
class Fault:
    """What happens, and after how many more times."""

    what: str
    left: int


_armed: dict[str, Fault] = {}


def arm(text: str) -> None:
    """
    Arm what *text* says, instead of what was armed before.

    Raises:
        PermanentError: it says something else.
    """
    _armed.clear()
    for part in filter(None, text.split(",")):
        found = _FAULT.fullmatch(part.strip())
        if found is None or found["point"] not in POINTS:
            places = ", ".join(sorted(POINTS))
            raise PermanentError(f"{VARIABLE}: {part!r} is no PLACE=WHAT@TIME; places: {places}")
        _armed[found["point"]] = Fault(what=found["what"], left=int(found["time"] or 1))
    if _armed:
        logger.warning("faults armed", faults=text)


def armed() -> frozenset[str]:
    """Return the places where something still waits to happen."""
    return frozenset(_armed)


async def reach(point: str) -> None:
    """Come past *point*: nothing happens, unless a test wants something to."""
    if point not in _armed:
        return
    fault = _armed[point]
    fault.left -= 1
    if fault.left > 0:
        return
    del _armed[point]
    logger.warning("fault", point=point, what=fault.what)
    await _happen(fault.what)


async def _happen(what: str) -> None:
    match what:
        case "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        case "freeze":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "drop":
            _drop_connections()
        case _:
            await asyncio.sleep(float(what.partition(":")[2]))


def _drop_connections() -> None:
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found = socket.socket(fileno=int(descriptor.name))
            _drop(found)
            found.detach()


def _drop(found: socket.socket) -> None:
    with suppress(OSError):
        if found.family in {socket.AF_INET, socket.AF_INET6}:
            found.getpeername()  # fails where nobody is at the other end: a server's own socket
            found.shutdown(socket.SHUT_RDWR)
