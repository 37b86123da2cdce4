"""Waits for jobs and syncs, as patiently as Flux v1's fluxctl: first often, then less so."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from fluxctl.client import Client
from fluxctl.errors import CommandError, TimedOutError

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


class JobFailedError(CommandError):
    """A job came to nothing; it may still tell the last good revision."""

    def __init__(self, job: Job) -> None:
        super().__init__(job.get("Err") or "the operation failed, and no reason was given")
        self.revision = str(outcome(job).get("revision") or "")


def job(client: Client, identity: str, timeout: float) -> Job:
    """
    Return the finished job.

    Raises:
        JobFailedError: it failed.
        TimedOutError: it did not finish in time.
    """

    def ended() -> Job | None:
        found: Job = client.get("v6/jobs", id=identity)
        return found if found.get("StatusString") in {"succeeded", "failed"} else None

    found = _poll(ended, timeout, first=0.1, longest=5.0)
    if found.get("Err") or found["StatusString"] == "failed":
        raise JobFailedError(found)
    return found


def job_or_told(client: Client, identity: str, timeout: float) -> Job:
    """Return the finished job; where that takes too long, say what it may mean."""
    try:
        return job(client, identity, timeout)
    except TimedOutError:
        tell(_TOO_LATE)
        raise


def applied(client: Client, revision: str, timeout: float) -> None:
    """
    Wait until *revision* is applied.

    Raises:
        TimedOutError: it was not in time.
    """
    _poll(
        lambda: None if client.get("v6/sync", ref=revision) else True,
        timeout,
        first=1.0,
        longest=10.0,
    )


def pruned(client: Client, timeout: float) -> None:
    """
    Wait until no sync holds back what it would delete.

    Raises:
        TimedOutError: it was not in time.
    """
    _poll(
        lambda: None if any(one.get("prune_held") for one in client.get_new("syncs")) else True,
        timeout,
        first=0.1,
        longest=5.0,
    )


def applied_or_told(client: Client, revision: str, timeout: float) -> None:
    """Wait for a release's commit; a release that is only slow to be applied is no failure."""
    try:
        applied(client, revision, timeout)
    except TimedOutError:
        tell(_NOT_APPLIED)
    else:
        tell(f"Commit applied:\t{revision[:7]}")


def outcome(done: Job) -> Mapping[str, Any]:
    """Return the result of a job; empty if there is none."""
    return done.get("Result") or {}


def tell(line: str) -> None:
    """Tell progress on stderr; results alone go to stdout."""
    sys.stdout.flush()
    print(line, file=sys.stderr, flush=True)


def _poll(ask: Callable[[], T | None], timeout: float, *, first: float, longest: float) -> T:
    until, pause = time.monotonic() + timeout, first
    while time.monotonic() < until:
        if (found := ask()) is not None:
            return found
        if time.monotonic() + pause > until:
            break
        time.sleep(pause)
        pause = min(pause * 2, longest)
    raise TimedOutError
