"""
Gets one object into the cluster in the manner that it asks for, and patiently.

What fails for a while is told apart: the whole cluster (raised), or this object alone (an answer).
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from services.cluster_applier.answers import Answer
from services.cluster_applier.domain.fields import Owned, others_paths, text, without
from services.cluster_applier.domain.ledger import ignored
from services.cluster_applier.domain.manner import Manner
from services.cluster_applier.domain.takeover import owns_replicas, taken_over
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
        created, there = await _created(kube, path, body)
        if created is not None:
            return created
        manner = replace(manner, scales=manner.leave and owns_replicas(there))
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


async def _created(kube: Kube, path: str, body: bytes) -> tuple[Sent | None, Mapping[str, Any]]:
    """
    Create the object, unless there is one that may be changed: then return its metadata.

    That costs one request where there is none: a version that no object has is refused by any
    object, and overlooked where there is none.
    """
    value = json.loads(body)
    value["metadata"] = {**value.get("metadata", {}), "resourceVersion": NOBODYS}
    new = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    answer = await _unforced(kube, path, new)
    if answer.status not in {200, 409}:
        return Sent(answer=answer), {}
    there = await _look(kube, path)
    kept = Sent(answer=None, said=IGNORED) if ignored(there.metadata) else None
    return kept, there.metadata


async def _overriding(kube: Kube, path: str, body: bytes, manner: Manner) -> Sent:
    if manner.leave and manner.scales and (kept := await _handed_over(kube, path)):
        return kept
    if manner.first:
        return await _taken(kube, path, body, leave=manner.leave)
    return Sent(answer=await patient(kube, lambda: kube.apply(path, body)))


async def _handed_over(kube: Kube, path: str) -> Sent | None:
    """Give the replicas away before we apply without them; return why that may not be done."""
    there = await _look(kube, path)
    there = await _settled(kube, path, there, leave=True)
    if ignored(there.metadata):
        return Sent(answer=None, said=IGNORED)
    return None if there.ok or there.status == 404 else Sent(answer=there)


async def _taken(kube: Kube, path: str, body: bytes, *, leave: bool) -> Sent:
    """Apply over what others have set, and own alone what we declare."""
    answer = await _unforced(kube, path, body)
    said = _named("taken over from others", answer.conflicts)
    if answer.status == 409:
        answer = await patient(kube, lambda: kube.apply(path, body))
    if answer.status != 200:
        return Sent(answer=answer, said=said)
    there = await _settled(kube, path, answer, leave=leave)
    if ignored(there.metadata):
        return Sent(answer=None, said=IGNORED)
    if there.ok and there is not answer:
        there = await patient(kube, lambda: kube.apply(path, body))
    return Sent(answer=there, said=said)


async def _settled(
    kube: Kube, path: str, there: Answer, *, leave: bool, tries: int = TAKEN_OVER
) -> Answer:
    """Write managedFields as they must be; return *there* where they are so, or a refusal."""
    entries = taken_over(there.metadata, leave=leave) if there.ok else None
    if entries is None or ignored(there.metadata):
        return there
    done = await patient(kube, lambda: _rewrite(kube, path, there.metadata, entries))
    if done.status != 409 or tries == 1:
        return done
    there = await _look(kube, path)
    return await _settled(kube, path, there, leave=leave, tries=tries - 1)


async def _look(kube: Kube, path: str) -> Answer:
    return await patient(kube, lambda: kube.look(path, accept=METADATA))


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
    there = await _look(kube, path)
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
        there = await _look(kube, path)
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
