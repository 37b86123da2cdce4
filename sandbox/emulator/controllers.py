"""
What happens in a cluster by itself: rollouts, namespaces that empty, owners that take along
what is theirs, new kinds that begin to be served.

They follow the store as any client would, and work off one change after another.
"""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from typing import Any

from sandbox.emulator import definitions
from sandbox.emulator.bodies import Options, Target
from sandbox.emulator.deleting import Deleter
from sandbox.emulator.kinds import Kinds
from sandbox.emulator.rollouts import Rollouts
from sandbox.emulator.store import Change, Object, Store
from sandbox.emulator.writing import Writer

_logger = logging.getLogger(__name__)
_EMPTYING = 0.05  # seconds for which a namespace can be seen to be terminating
_OURS = Options(manager="kube-controller-manager")
_FIRST = ("default", "kube-system", "kube-public", "kube-node-lease")


class Controllers:
    """Everything that a cluster does unasked."""

    def __init__(self, store: Store, kinds: Kinds, writer: Writer, deleter: Deleter) -> None:
        self._store = store
        self._kinds = kinds
        self._writer = writer
        self._deleter = deleter
        self._rollouts = Rollouts(store, kinds, writer)

    async def run(self) -> None:
        """Follow the store until cancelled."""
        version = 0
        async with asyncio.TaskGroup() as group:
            while True:
                for change in self._store.since(version):
                    version = change.version
                    try:
                        self._look(change, group)
                    except Exception:  # one odd object must not stop the others
                        _logger.exception("a change could not be worked off")
                if self._store.version == version:
                    await self._store.moved()

    def furnish(self) -> None:
        """Create what every new cluster has."""
        namespaces = self._kinds.built_in("v1", "namespaces")
        for name in _FIRST:
            target = Target(resource=namespaces)
            self._writer.create(target, {"metadata": {"name": name}}, _OURS)
        services = self._kinds.built_in("v1", "services")
        self._writer.create(
            Target(resource=services, namespace="default"),
            {"metadata": {"name": "kubernetes"}, "spec": {"ports": [{"port": 443}]}},
            _OURS,
        )

    def _look(self, change: Change, group: asyncio.TaskGroup) -> None:
        if change.kind == "DELETED":
            self._deleter.collect(change.after["metadata"]["uid"])
        group_name, plural = change.storage
        if group_name == "apps" and change.kind != "DELETED":
            if rollout := self._rollouts.begin(change.storage, change.after):
                group.create_task(_guarded(rollout))
        elif change.storage == ("", "namespaces"):
            self._look_at_namespace(change, group)
        elif plural == "customresourcedefinitions":
            self._look_at_definition(change, group)

    def _look_at_namespace(self, change: Change, group: asyncio.TaskGroup) -> None:
        name = change.after["metadata"]["name"]
        if change.kind == "ADDED":
            self._create("serviceaccounts", name, {"metadata": {"name": "default"}})
            authority = {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": ""}}
            self._create("configmaps", name, authority)
        elif change.kind == "MODIFIED" and "deletionTimestamp" in change.after["metadata"]:
            group.create_task(_guarded(self._empty(change.after)))

    async def _empty(self, namespace: Object) -> None:
        await asyncio.sleep(_EMPTYING)
        namespaces = self._kinds.built_in("v1", "namespaces")
        name, uid = namespace["metadata"]["name"], namespace["metadata"]["uid"]
        found = self._store.get(namespaces, "", name)
        if found is None or found["metadata"]["uid"] != uid:
            return
        while left := [
            (storage, obj)
            for storage, obj in self._store.everything()
            if obj["metadata"].get("namespace") == name
        ]:
            for storage, obj in left:
                self._deleter.take(storage, obj)
            # What finalizers still hold goes when those who set them are done.
            if any(obj["metadata"].get("finalizers") for _, obj in left):
                await self._store.moved()
        if self._store.get(namespaces, "", name):
            self._store.remove(namespaces.storage, found)

    def _create(self, plural: str, namespace: str, body: Mapping[str, Any]) -> None:
        resource = self._kinds.built_in("v1", plural)
        target = Target(resource=resource, namespace=namespace)
        if self._store.get(resource, namespace, body["metadata"]["name"]) is None:
            self._writer.create(target, body, _OURS)

    def _look_at_definition(self, change: Change, group: asyncio.TaskGroup) -> None:
        spec = change.after["spec"]
        storage = (spec["group"], spec["names"]["plural"])
        if change.kind == "DELETED":
            self._kinds.remove_custom(*storage)
            for found, obj in self._store.everything():
                if found == storage:
                    self._store.remove(found, obj)
        elif change.before is None or change.before["spec"] != spec:
            serving = definitions.serve(change.after, self._store, self._kinds, self._writer)
            group.create_task(_guarded(serving))


async def _guarded(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception:  # as above, for what takes time
        _logger.exception("a change could not be worked off")
