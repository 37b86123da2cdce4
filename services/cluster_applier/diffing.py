"""
What applying a sync would change now: each object that differs is applied without being written.

It goes the way of a real apply, on a rehearsal of the API server, so that both do the same: also
what hangs is met once.
"""

import asyncio
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from services.cluster_applier.decrypting import Opened
from services.cluster_applier.deploying import Deploying
from services.cluster_applier.domain.comparing import difference
from services.cluster_applier.domain.inventory import Inventory
from services.cluster_applier.domain.plan import Wanted, obsolete
from services.cluster_applier.domain.refusal import webhook
from services.cluster_applier.domain.takeover import unscaled
from services.cluster_applier.kube import Kube
from services.cluster_applier.outcome import unserved, why
from services.cluster_applier.pace import pace
from services.cluster_applier.putting import put, selecting
from services.cluster_applier.target import Target
from services.cluster_applier.turns import Turns
from services.cluster_applier.webhooks import Webhooks
from shared.bundle.format import Bundle
from shared.contract import DiffMade, ObjectDiff, ObjectResult

AT_ONCE = 8
MOST = 200
"""So many objects are compared; more are only counted."""
LARGEST = 1_000_000
"""Characters of an answer."""


class Diffing:
    """Compares one sync with its cluster."""

    def __init__(self, kube: Kube, target: Target, deploying: Deploying) -> None:
        self._kube = kube.rehearsal()
        self._target = target
        self._deploying = deploying

    async def diff(self, opened: Opened, inventory: Inventory) -> DiffMade:
        """Return what would become of every object that differs."""
        bundle = opened.bundle
        placed, wanted = await self._deploying.differing(bundle, inventory)
        declared = {str(one.id) for one in (*placed.known, *placed.unknown)}
        gone = () if opened.unread else obsolete(inventory, declared, bundle.header.skipped)
        found: list[ObjectDiff] = []

        coming = await asyncio.to_thread(_coming, bundle) if placed.unknown else ()
        turns = Turns[Wanted](self._deploying.hung)
        selects = selecting(Webhooks(self._target.kube), bundle)

        async def look(one: Wanted) -> None:
            if not one.path:
                found.append(await self._foreseen(one, bundle, coming))
                return
            lane = await turns.lane(one.id, one, selects)
            if reason := turns.reason_to_hold(lane):
                found.append(_told(one, "failed", reason))
            elif not turns.put_aside(lane, one):
                with turns.taken(lane, one.id):
                    compared = await self._compared(one, bundle, inventory, turns)
                    found.extend([compared] if compared else ())

        wanted += placed.unknown
        async with pace(AT_ONCE, name="diff") as slots:
            await slots.each(wanted[:MOST], look, more=turns.due)
        found += [ObjectDiff(id=name, action="deleted") for name, _ in gone]
        found += [_unread(one.result) for one in opened.unread]
        shown = _as_many_as_fit(sorted(found, key=lambda one: one.id))
        left_off = len(found) - len(shown) + len(wanted[MOST:])
        return DiffMade(revision=bundle.header.revision, objects=tuple(shown), left_off=left_off)

    async def _compared(
        self, one: Wanted, bundle: Bundle, inventory: Inventory, turns: Turns[Wanted]
    ) -> ObjectDiff | None:
        """Return what differs of an object, or why that can't be told; None where it is same."""
        if reason := self._deploying.never(one):
            return _told(one, "failed", reason)
        body, known = bundle.object(one.entry), inventory.objects.get(str(one.id))
        there = await self._kube.look(one.path)
        live = there.body if there.ok else None
        sent = await put(self._kube, self._target.ledger, one, body, known)
        answer = sent.answer
        if answer is None:
            return None
        turns.failed(one.id, webhook(answer.reason)) if answer.passing else turns.answered(one.id)
        if answer.status == 404 and _names(bundle, f"Namespace {one.id.namespace}"):
            return await _new(one, bundle)
        if not answer.ok:
            return _told(one, "failed", "; ".join(filter(None, (why(one, answer), sent.said))))
        governed = self._target.ledger.scalers.governs(str(one.id))
        leaves = unscaled(one.id.kind, body, governed=governed) is not None
        after = _with_replicas(answer.body, live) if leaves else None
        encrypted = one.entry.encrypted or (known is not None and known.encrypted)
        text = await asyncio.to_thread(
            difference, one.id, live, after or answer.body, encrypted=encrypted
        )
        if not text:
            return None
        said = f"{sent.said}\n" if sent.said else ""
        return _told(one, "configured" if live else "created", f"{said}{text}")

    async def _foreseen(
        self, one: Wanted, bundle: Bundle, coming: Collection[tuple[str, str]]
    ) -> ObjectDiff:
        """
        Return what becomes of an object whose kind is not served, and so can't be tried.

        *coming*: group and kind of what the bundle itself defines.
        """
        if one.id.key in coming:
            return await _new(one, bundle)
        return _told(one, "failed", unserved(one, self._target.discovery.alike(one.id.kind)))


async def _new(one: Wanted, bundle: Bundle) -> ObjectDiff:
    """Return an object as it is declared: what it needs comes with it."""
    body = json.loads(bundle.object(one.entry))
    text = await asyncio.to_thread(difference, one.id, None, body, encrypted=one.entry.encrypted)
    return _told(one, "created", text)


def _names(bundle: Bundle, name: str) -> bool:
    return any(entry.id == name for entry in bundle.objects)


def _coming(bundle: Bundle) -> Collection[tuple[str, str]]:
    """Return group and kind of all that a bundle itself defines."""
    found = set()
    for entry in bundle.objects:
        if entry.object_id.kind == "CustomResourceDefinition":
            spec = json.loads(bundle.object(entry)).get("spec") or {}
            found.add((str(spec.get("group")), str((spec.get("names") or {}).get("kind"))))
    return found


def _with_replicas(after: Any, live: Any) -> Mapping[str, Any] | None:
    """Show the replicas that stay: they are handed over before anything is applied."""
    if not live or "replicas" not in live.get("spec", {}):
        return None
    return {**after, "spec": {**after["spec"], "replicas": live["spec"]["replicas"]}}


def _told(one: Wanted, action: str, text: str) -> ObjectDiff:
    entry = one.entry
    return ObjectDiff(id=str(one.id), action=action, text=text, file=entry.file, line=entry.line)


def _unread(of: ObjectResult) -> ObjectDiff:
    return ObjectDiff(id=of.id, action="failed", text=of.message, file=of.file, line=of.line)


def _as_many_as_fit(found: Iterable[ObjectDiff]) -> list[ObjectDiff]:
    shown, size = [], 0
    for one in found:
        size += len(one.text) + 200
        if size > LARGEST:
            break
        shown.append(one)
    return shown
