"""Waits for jobs and syncs, as patiently as Flux v1's fluxctl: first often, then less so."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from fluxctl.client import Client
from fluxctl.errors import CommandError

Job = Mapping[str, Any]
T = TypeVar("T")

_TOO_LATE = """
We timed out waiting for the result of the operation. This does not
necessarily mean it has failed. You can check the state of the
cluster, or commit logs, to see if there was a result. In general, it
is safe to retry operations."""
_NOT_APPLIED = """
The operation succeeded, but we timed out waiting for the commit to be
applied. This does not necessarily mean there is a problem. Use

    fluxctl sync

to run a sync interactively."""


def job(client: Client, identity: str, timeout: float) -> Job:
    """
    Return the finished job.

    Raises:
        CommandError: it failed, or did not finish in time.
    """

    def ended() -> Job | None:
        found: Job = client.get("v6/jobs", id=identity)
        return found if found["StatusString"] in {"succeeded", "failed"} else None

    found = _poll(ended, timeout, first=0.1, longest=5.0)
    if found is None:
        tell(_TOO_LATE)
        raise CommandError("timeout")
    if found.get("Err") or found["StatusString"] == "failed":
        raise CommandError(found.get("Err") or "the operation failed")
    return found


def applied(client: Client, revision: str, timeout: float) -> bool:
    """Return whether *revision* was applied in time."""

    def done() -> bool | None:
        return True if not client.get("v6/sync", ref=revision) else None

    return bool(_poll(done, timeout, first=1.0, longest=10.0))


def applied_or_told(client: Client, revision: str, timeout: float) -> None:
    """Wait for a release's commit; a release that is only slow to be applied is no failure."""
    if applied(client, revision, timeout):
        tell(f"Commit applied:\t{revision[:7]}")
    else:
        tell(_NOT_APPLIED)


def tell(line: str) -> None:
    """Tell progress on stderr; results alone go to stdout."""
    print(line, file=sys.stderr, flush=True)


def _poll(ask: Callable[[], T | None], timeout: float, *, first: float, longest: float) -> T | None:
    until, pause = time.monotonic() + timeout, first
    while (found := ask()) is None:
        if time.monotonic() + pause > until:
            return None
        time.sleep(pause)
        pause = min(pause * 2, longest)
    return found
