"""
Tells whether a webhook that does not answer is asked about an object at all.

Its configuration is read only then, once in a round: a webhook may come and go.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from services.cluster_applier.answers import Answer
from services.cluster_applier.domain.refusal import CONVERTS
from services.cluster_applier.domain.selection import (
    Labels,
    Request,
    Selected,
    Webhook,
    labels_of,
    request,
    ruled,
    selected,
)
from services.cluster_applier.kube import METADATA, Kube

_BASE = "/apis/admissionregistration.k8s.io/v1"
_PATHS = tuple(f"{_BASE}/{one}webhookconfigurations" for one in ("mutating", "validating"))

Ask = Callable[[], Awaitable[Labels]]
"""For the labels that an object is declared with, or has when it is deleted: where they matter."""


class Webhooks:
    """The webhooks of one cluster, during one round."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._read: dict[str, Answer] = {}
        self._live: dict[str, Labels | Selected] = {}
        """By path: the labels of an object as it is, or why it is taken to be selected or not."""
        self._one_at_a_time = asyncio.Lock()

    async def selects(
        self, name: str, path: str, operations: Collection[str], labels: Ask
    ) -> Selected:
        """
        Tell whether a webhook of that *name* is asked before the object at *path* is changed.

        Raises:
            TemporaryError: the API server is away.
        """
        if name.startswith(CONVERTS):
            return Selected(yes=True)
        found: list[Webhook] = []
        for where in _PATHS:
            answer = await self._get(where)
            if not answer.ok:
                return Selected(yes=True, unknown=answer.reason)
            found += (one for one in _webhooks(answer.body) if one.get("name") == name)
        if not found:
            return Selected(yes=True, unknown="no configuration holds a webhook of that name")
        asked = request(path, operations)
        for one in found:
            if ruled(one, asked) and (said := await self._by_labels(one, path, asked, labels)).yes:
                return said
        return Selected(yes=False)

    async def _by_labels(
        self, webhook: Webhook, path: str, asked: Request, labels: Ask
    ) -> Selected:
        by_object, by_namespace = webhook.get("objectSelector"), webhook.get("namespaceSelector")
        said = Selected(yes=True)
        if by_object:
            said = await self._by_own(by_object, path, asked, labels)
        if said.yes and by_namespace and asked.is_namespace:
            return await self._by_own(by_namespace, path, asked, labels)
        if said.yes and by_namespace and asked.namespace:
            return await self._by_namespace(by_namespace, asked)
        return said

    async def _by_own(
        self, selector: Mapping[str, Any], path: str, asked: Request, labels: Ask
    ) -> Selected:
        """Tell whether labels are selected that an object has, will have, or is to lose."""
        declared = await labels()
        if selected(selector, declared) or "UPDATE" not in asked.operations:
            return Selected(yes=selected(selector, declared))
        if path not in self._live:
            self._live[path] = _seen(await self._kube.look(path, accept=METADATA))
        live = self._live[path]
        if isinstance(live, Selected):
            return live
        return Selected(yes=any(selected(selector, one) for one in (live, {**live, **declared})))

    async def _by_namespace(self, selector: Mapping[str, Any], asked: Request) -> Selected:
        answer = await self._get(f"/api/v1/namespaces/{asked.namespace}", accept=METADATA)
        if answer.status == 404:
            return Selected(yes=False)  # it is refused for that before
        if not answer.ok:
            return Selected(yes=True, unknown=answer.reason)
        return Selected(yes=selected(selector, labels_of(answer.metadata)))

    async def _get(self, path: str, **more: str) -> Answer:
        async with self._one_at_a_time:
            if path not in self._read:
                self._read[path] = await self._kube.look(path, **more)
            return self._read[path]


def _seen(there: Answer) -> Labels | Selected:
    if there.ok:
        return labels_of(there.metadata)
    missing = there.status == 404
    return Selected(yes=not missing, unknown="" if missing else there.reason)


def _webhooks(body: Any) -> list[Webhook]:
    items = (body.get("items") or ()) if isinstance(body, Mapping) else ()
    return [webhook for one in items for webhook in one.get("webhooks") or ()]
