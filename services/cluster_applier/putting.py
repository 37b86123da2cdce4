"""Puts one object into the cluster as it asks to be: read `domain.manner` for how that may be."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial

from services.cluster_applier.domain.fields import Path, without
from services.cluster_applier.domain.inventory import Applied
from services.cluster_applier.domain.ledger import Ledger
from services.cluster_applier.domain.manner import Manner, asked_by, may_recreate
from services.cluster_applier.domain.plan import Wanted
from services.cluster_applier.domain.selection import Labels, Selected, labels_of
from services.cluster_applier.domain.takeover import unscaled
from services.cluster_applier.kube import Kube
from services.cluster_applier.outcome import why
from services.cluster_applier.recreate import recreate
from services.cluster_applier.sending import Sent, send
from services.cluster_applier.webhooks import Webhooks
from shared.bundle.format import Bundle
from shared.manifests import ObjectId
from shared.runtime.errors import PermanentError


async def put(
    kube: Kube,
    ledger: Ledger,
    one: Wanted,
    body: bytes,
    before: Applied | None,
    *,
    left: Sequence[Path] = (),
) -> Sent:
    """
    Apply *body*, of which *before* was applied so far; or create it anew.

    Fields that are *left* to others stay as they are, if the object is there.
    """
    asked = asked_by(body)
    scaled = unscaled(one.id.kind, body, governed=ledger.scalers.governs(str(one.id)))
    body = scaled or body
    manner = _manner(ledger, one, before, asked.ssa, leave=scaled is not None)
    if left:
        part = json.dumps(without(json.loads(body), left)).encode()
        sent = await send(kube, one.path, part, manner)
        if sent.answer is None or sent.answer.status not in {201, 422}:
            return replace(sent, left=True)
    sent = await send(kube, one.path, body, manner)
    if not asked.forced or sent.answer is None or sent.answer.status != 422:
        return replace(sent, once=asked.ssa == "if-not-present")
    if not may_recreate(one.id):
        return replace(sent, said=f"fluxcd.io/force does not hold for a {one.id.kind}")
    return await recreate(
        kube,
        one.path,
        body,
        sent.answer,
        uid=before.uid if before else "",
        why=partial(why, one),
    )


def selecting(webhooks: Webhooks, bundle: Bundle) -> Callable[[str, Wanted], Awaitable[Selected]]:
    """Return what tells whether a webhook is asked when an object of *bundle* is put."""

    async def selects(webhook: str, one: Wanted) -> Selected:
        async def labels() -> Labels:
            return labels_of(json.loads(body).get("metadata"))

        try:
            body = bundle.object(one.entry)
            return await webhooks.selects(webhook, one.path, operations(one.id, body), labels)
        except PermanentError:
            return Selected(yes=False)  # what can't be read is not sent

    return selects


def operations(named: ObjectId, body: bytes) -> frozenset[str]:
    """Return what may be asked of the API server while *body* is put."""
    recreated = asked_by(body).forced and may_recreate(named)
    return frozenset({"CREATE", "UPDATE", *(("DELETE",) if recreated else ())})


def _manner(
    ledger: Ledger, one: Wanted, before: Applied | None, ssa: str, *, leave: bool
) -> Manner:
    scaled = (before is not None and before.replicas) or ledger.scales(str(one.id))
    return Manner(
        ssa=ssa, first=before is None or not before.uid, leave=leave, scales=leave and scaled
    )
