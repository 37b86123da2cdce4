"""
Gets one object into the cluster in the manner that it asks for, and patiently.

What fails for a while is told apart: the whole cluster (raised), or this object alone (an answer).
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from services.cluster_applier.answers import Answer
from services.cluster_applier.domain.fields import Owned, others_paths, text, without
from services.cluster_applier.domain.ledger import ignored
from services.cluster_applier.domain.manner import Manner
from services.cluster_applier.domain.takeover import is_kubectls, taken_over
from services.cluster_applier.kube import METADATA, Kube
from shared.runtime.errors import TemporaryError

PAUSES = (0.2, 1.0, 3.0)
"""Seconds between the tries of a request that the server has no time for."""
LONGEST = 10.0
"""Seconds; who wants more is told of as one that is away, and others go on meanwhile."""
NOBODYS = "1"
"""The resourceVersion of no object."""
TAKEN_OVER = 5
"""Tries to change managedFields, or to merge, while others write to the object."""

IGNORED = "it is annotated in the cluster to be ignored"
THERE = "it is there already, and fluxcd.io/ssa says if-not-present"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What came of it."""

    answer: Answer | None
    """None where the object was left alone."""
    said: str = ""
    """Why it was left alone, or what of it."""
    once: bool = False
    """It is to be created, and may look as it likes afterwards."""
    left: bool = False
    """Fields were left out on which somebody insists."""


async def send(kube: Kube, path: str, body: bytes, manner: Manner) -> Sent:
    """
    Apply *body* in this *manner*.

    Raises:
        TemporaryError: the cluster as a whole has no time, or is away.
    """
    if manner.ssa == "if-not-present":
        return await _once(kube, path, body)
    if manner.first and not manner.scales:
        created = await _created(kube, path, body)
        if created is not None:
            return created
    match manner.ssa:
        case "merge":
            return await _merged(kube, path, body)
        case _:
            return await _overriding(kube, path, body, manner)


async def patient(kube: Kube, ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask until the server has time."""
    answer = await ask()
    for pause in PAUSES:
        wait = max(pause, answer.retry_after or 0.0)
        if not answer.overloaded or wait > LONGEST:
            break
        await asyncio.sleep(wait * random.uniform(1.0, 1.5))  # noqa: S311 - jitter
        answer = await ask()
    if answer.overloaded:
        raise TemporaryError(kube.name, answer.reason, retry_after=answer.retry_after)
    return answer


async def _created(kube: Kube, path: str, body: bytes) -> Sent | None:
    """
    Create the object, unless there is one; None where there is one that may be changed.

    That costs one request where there is none: a version that no object has is refused by any
    object, and overlooked where there is none.
    """
    value = json.loads(body)
    value["metadata"] = {**value.get("metadata", {}), "resourceVersion": NOBODYS}
    new = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    answer = await _unforced(kube, path, new)
    if answer.status not in {200, 409}:
        return Sent(answer=answer)
    there = await patient(kube, lambda: kube.look(path, accept=METADATA))
    return Sent(answer=None, said=IGNORED) if ignored(there.metadata) else None


async def _overriding(kube: Kube, path: str, body: bytes, manner: Manner) -> Sent:
    hands_over = manner.leave and manner.scales
    if not manner.first and not hands_over:
        return Sent(answer=await patient(kube, lambda: kube.apply(path, body)))
    conflicts: tuple[Owned, ...] = ()
    if not manner.scales:
        answer = await _unforced(kube, path, body)
        if answer.ok and (answer.status == 201 or not is_kubectls(answer.metadata)):
            return Sent(answer=answer)
        if not answer.ok and answer.status != 409:
            return Sent(answer=answer)
        conflicts = answer.conflicts
    return await _adopted(kube, path, body, conflicts, leave=manner.leave)


async def _adopted(
    kube: Kube, path: str, body: bytes, conflicts: tuple[Owned, ...], *, leave: bool
) -> Sent:
    """Apply over what others have set, once what kubectl had is ours."""
    for _ in range(TAKEN_OVER):
        there = await patient(kube, lambda: kube.look(path, accept=METADATA))
        if there.status == 404:
            break
        if not there.ok:
            return Sent(answer=there)
        if ignored(there.metadata):
            return Sent(answer=None, said=IGNORED)
        entries = taken_over(there.metadata, leave=leave)
        if entries is None:
            break
        done = await patient(kube, partial(_rewrite, kube, path, there.metadata, entries))
        if done.ok:
            break
        if done.status != 409:
            return Sent(answer=done)
    answer = await patient(kube, lambda: kube.apply(path, body))
    return Sent(answer=answer, said=_named("taken over from others", conflicts))


async def _rewrite(
    kube: Kube, path: str, metadata: Mapping[str, Any], entries: list[Mapping[str, Any]]
) -> Answer:
    """Write managedFields; refused if somebody wrote to the object since it was read."""
    version = metadata.get("resourceVersion")
    changes = [
        {"op": "replace", "path": "/metadata/managedFields", "value": entries},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
    ]
    return await kube.patch(path, changes)


async def _once(kube: Kube, path: str, body: bytes) -> Sent:
    """Create the object, unless there is one."""
    there = await patient(kube, lambda: kube.look(path, accept=METADATA))
    if there.ok:
        return Sent(answer=None, said=THERE)
    if there.status != 404:
        return Sent(answer=there)
    return Sent(answer=await _unforced(kube, path, body))


async def _merged(kube: Kube, path: str, body: bytes) -> Sent:
    """Apply without the fields that others have set to something else."""
    left: dict[str, Owned] = {}
    answer = await _unforced(kube, path, body)
    for _ in range(TAKEN_OVER):
        if answer.status != 409 or not answer.conflicts:
            break
        there = await patient(kube, lambda: kube.look(path, accept=METADATA))
        if ignored(there.metadata):
            return Sent(answer=None, said=IGNORED)
        fields = {one.field for one in answer.conflicts}
        paths = others_paths(there.metadata.get("managedFields") or (), fields)
        left |= {text(one): Owned(field=text(one), manager=who) for one, who in paths.items()}
        body = json.dumps(without(json.loads(body), paths)).encode()
        answer = await _unforced(kube, path, body)
    return Sent(answer=answer, said=_named("left to others", left.values()) if answer.ok else "")


async def _unforced(kube: Kube, path: str, body: bytes) -> Answer:
    return await patient(kube, lambda: kube.apply(path, body, force=False))


def _named(what: str, fields: Collection[Owned]) -> str:
    return f"{what}: {', '.join(map(str, fields))}" if fields else ""
