"""
Gets one object into the cluster: taken over from others where need be, and patiently.

What fails for a while is told apart: the whole cluster (raised), or this object alone (an answer).
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from services.cluster_applier.answers import Answer
from services.cluster_applier.domain.ledger import ignored
from services.cluster_applier.domain.takeover import is_kubectls, taken_over
from services.cluster_applier.kube import METADATA, Kube
from shared.runtime.errors import TemporaryError

PAUSES = (0.2, 1.0, 3.0)
"""Seconds between the tries of a request that the server has no time for."""
LONGEST = 10.0
TAKEN_OVER = 5
"""Tries to change managedFields while others write to the object."""


async def send(
    kube: Kube, path: str, body: bytes, *, first: bool, leave: bool, scales: bool
) -> Answer | None:
    """
    Apply *body* and return the answer; None where somebody wants the object left alone.

    *first*: whether it is the first time for us; then what is there already is looked at before
    anything of it is overwritten. *leave*: replicas are not ours to set; *scales*: they were.

    Raises:
        TemporaryError: the cluster as a whole has no time, or is away.
    """
    if not first and not (leave and scales):
        return await patient(kube, lambda: kube.apply(path, body))
    if not scales:
        answer = await patient(kube, lambda: kube.apply(path, body, force=False))
        if answer.ok and (answer.status == 201 or not is_kubectls(answer.metadata)):
            return answer
        if not answer.ok and answer.status != 409:
            return answer
    return await _adopted(kube, path, body, leave=leave)


async def patient(kube: Kube, ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask until the server has time."""
    for pause in PAUSES:
        answer = await ask()
        if not answer.overloaded:
            return answer
        await asyncio.sleep(min(max(pause, answer.retry_after or 0.0), LONGEST))
    answer = await ask()
    if answer.overloaded:
        raise TemporaryError(kube.name, answer.reason, retry_after=answer.retry_after)
    return answer


async def _adopted(kube: Kube, path: str, body: bytes, *, leave: bool) -> Answer | None:
    for _ in range(TAKEN_OVER):
        there = await patient(kube, lambda: kube.look(path, accept=METADATA))
        if there.status == 404:
            break
        if not there.ok:
            return there
        metadata = there.metadata
        if ignored(metadata):
            return None
        entries = taken_over(metadata, leave=leave)
        if entries is None:
            break
        changes = [
            {"op": "replace", "path": "/metadata/managedFields", "value": entries},
            # Refused if somebody wrote to it since.
            {
                "op": "replace",
                "path": "/metadata/resourceVersion",
                "value": metadata.get("resourceVersion"),
            },
        ]
        done = await patient(kube, partial(kube.patch, path, changes))
        if done.ok:
            break
        if done.status != 409:
            return done
    return await patient(kube, lambda: kube.apply(path, body))
