"""
Lets workloads become ready although nothing runs: first the new generation is seen with all
of its pods still to be updated, then, a little later, all are available.
"""

import asyncio
import json
from collections.abc import Coroutine, Mapping
from typing import Any
from zlib import crc32

from sandbox.emulator.kinds import Kinds, Resource
from sandbox.emulator.ownership import now
from sandbox.emulator.store import Object, Storage, Store
from sandbox.emulator.writing import Writer

_SEEN, _READY = 0.01, 0.1  # seconds
_DONE = {"DaemonSet": "updatedNumberScheduled", "ReplicaSet": "readyReplicas"}
_AVAILABLE = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
_UNAVAILABLE = (
    "False",
    "MinimumReplicasUnavailable",
    "Deployment does not have minimum availability.",
)
_REVISION = "deployment.kubernetes.io/revision"


class Rollouts:
    """The rollouts that are under way, at most one a workload."""

    def __init__(self, store: Store, kinds: Kinds, writer: Writer) -> None:
        self._resources = [
            kinds.built_in("apps/v1", plural)
            for plural in ("deployments", "statefulsets", "daemonsets", "replicasets")
        ]
        self._store = store
        self._writer = writer
        self._under_way: set[str] = set()
        self._templates: dict[str, str] = {}

    def begin(self, storage: Storage, obj: Object) -> Coroutine[Any, Any, None] | None:
        """Return the rollout to run for *obj*; None where there is nothing to do."""
        resource = next((it for it in self._resources if it.storage == storage), None)
        uid = obj["metadata"]["uid"]
        if resource is None or uid in self._under_way or _is_settled(obj):
            return None
        self._under_way.add(uid)
        return self._run(resource, obj["metadata"]["namespace"], obj["metadata"]["name"], uid)

    async def _run(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        try:
            for wait, is_ready in ((_SEEN, False), (_READY, True)):
                await asyncio.sleep(wait)
                live = self._store.get(resource, namespace, name)
                if live is None or live["metadata"]["uid"] != uid:
                    return
                self._writer.save_status(resource, live, self._progressed(live, is_ready=is_ready))
                self._templates[uid] = _template(live)
        finally:
            self._under_way.discard(uid)

    def _progressed(self, live: Object, *, is_ready: bool) -> dict[str, Any]:
        wanted, before = _wanted(live), dict(live.get("status", {}))
        if self._is_new_template(live):
            before.pop("updatedReplicas", None)
        if live["kind"] == "DaemonSet":
            status = _daemon_set_status(before, wanted, is_ready=is_ready)
        else:
            status = _replicas_status(live["kind"], before, wanted, is_ready=is_ready)
        if live["kind"] == "Deployment":
            available = status.get("availableReplicas", 0)
            status["conditions"] = _conditions(live, before, available, is_ready=is_ready)
        seen = live["metadata"]["generation"]
        new = {**live, "status": {"observedGeneration": seen, **status}}
        return self._with_revision(new) if live["kind"] == "Deployment" else new

    def _is_new_template(self, live: Object) -> bool:
        return self._templates.get(live["metadata"]["uid"]) != _template(live)

    def _with_revision(self, live: dict[str, Any]) -> dict[str, Any]:
        """Count the templates that a Deployment has had."""
        annotations = dict(live["metadata"].get("annotations") or {})
        if self._is_new_template(live):
            annotations[_REVISION] = str(int(annotations.get(_REVISION, 0)) + 1)
        return {**live, "metadata": {**live["metadata"], "annotations": annotations}}


def _template(live: Object) -> str:
    return json.dumps(live["spec"]["template"])


def _wanted(live: Object) -> int:
    if live["kind"] == "DaemonSet":
        return 1  # one node
    return int(live["spec"].get("replicas", 1))


def _is_settled(live: Object) -> bool:
    status = live.get("status", {})
    seen = status.get("observedGeneration") == live["metadata"].get("generation")
    done = status.get(_DONE.get(live["kind"], "updatedReplicas"), 0)
    return bool(seen and done == _wanted(live))


def _daemon_set_status(before: Mapping[str, Any], wanted: int, *, is_ready: bool) -> dict[str, Any]:
    kept = wanted if is_ready else before.get("numberReady", 0)
    return {
        "currentNumberScheduled": wanted,
        "desiredNumberScheduled": wanted,
        "numberMisscheduled": 0,
        "numberReady": kept,
        "updatedNumberScheduled": wanted if is_ready else 0,
        "numberAvailable": kept,
    }


def _replicas_status(
    kind: str, before: Mapping[str, Any], wanted: int, *, is_ready: bool
) -> dict[str, Any]:
    # The old pods stay ready until the new ones are.
    kept = wanted if is_ready else min(before.get("readyReplicas", 0), wanted)
    counts = {
        "replicas": wanted,
        "updatedReplicas": wanted if is_ready else min(before.get("updatedReplicas", 0), wanted),
        "readyReplicas": kept,
        "availableReplicas": kept,
    }
    always = {"replicas"}
    if kind == "ReplicaSet":
        counts["fullyLabeledReplicas"] = counts.pop("updatedReplicas")
    if kind == "Deployment":
        counts["unavailableReplicas"] = wanted - kept
        counts["terminatingReplicas"] = 0
        always = {"terminatingReplicas"}
    # Of other counts the API says nothing where they are 0.
    return {name: count for name, count in counts.items() if count or name in always}


def _conditions(
    live: Object, before: Mapping[str, Any], available: int, *, is_ready: bool
) -> list[dict[str, str]]:
    past = {condition["type"]: condition for condition in before.get("conditions", ())}
    name = f"{live['metadata']['name']}-{crc32(json.dumps(live['spec']['template']).encode()):x}"
    enough = available >= _wanted(live)
    said = [
        ("Available", *(_AVAILABLE if enough else _UNAVAILABLE)),
        ("Progressing", "True", *_progress(name, is_ready=is_ready)),
    ]
    return [_condition(past.get(said_one[0], {}), *said_one) for said_one in said]


def _progress(name: str, *, is_ready: bool) -> tuple[str, str]:
    if is_ready:
        return "NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.'
    return "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.'


def _condition(
    past: Mapping[str, str], kind: str, status: str, reason: str, message: str
) -> dict[str, str]:
    since = past["lastTransitionTime"] if past.get("status") == status else now()
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": now(),
        "lastTransitionTime": since,
        "reason": reason,
        "message": message,
    }
