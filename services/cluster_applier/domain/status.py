"""
How a workload does, in Flux v1's words: started, updating, ready or error.

Of most kinds all in the cluster are told, as in Flux v1; of others those that we applied.
"""

from collections.abc import Mapping
from typing import Any

from services.cluster_applier.domain.health import Health, is_custom
from shared.contract import Rollout
from shared.manifests import containers

KINDS = frozenset(
    {("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet"), ("batch", "CronJob")}
)
"""Groups and kinds of which all are told."""
_OURS = frozenset({("apps", "ReplicaSet"), ("batch", "Job"), ("", "Pod")})
_ROLLED = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
_WORDS = {"ready": "ready", "failed": "error"}


def is_told(kind: tuple[str, str]) -> bool:
    """Tell whether it is told how objects of a group and kind do."""
    return kind in KINDS or kind in _OURS or is_custom(kind[0])


def images(value: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the image of every container, init containers last."""
    return {container.name: container.image for container in containers(value)}


def rollout(value: Mapping[str, Any]) -> Rollout:
    """Return how far the rollout of a workload is."""
    status, spec = value.get("status") or {}, value.get("spec") or {}
    match value.get("kind"):
        case "DaemonSet":
            desired = int(status.get("desiredNumberScheduled", 0))
            updated = int(status.get("updatedNumberScheduled", 0))
            return Rollout(
                desired=desired,
                updated=updated,
                ready=int(status.get("numberReady", 0)),
                available=int(status.get("numberAvailable", 0)),
                outdated=max(desired - updated, 0),
                messages=_messages(status),
            )
        case "Deployment" | "StatefulSet" | "ReplicaSet" as kind:
            replicas, updated = (
                int(status.get("replicas", 0)),
                int(status.get("replicas" if kind == "ReplicaSet" else "updatedReplicas", 0)),
            )
            return Rollout(
                desired=int(spec.get("replicas", 1)),
                updated=updated,
                ready=int(status.get("readyReplicas", 0)),
                available=int(status.get("availableReplicas", 0)),
                outdated=max(replicas - updated, 0),
                messages=_messages(status),
            )
        case _:
            return Rollout()


def state(value: Mapping[str, Any], seen: Rollout, doing: Health) -> str:
    """Return the status of a workload whose rollout is *seen*, and of others by how they do."""
    if value.get("kind") not in _ROLLED:
        return _WORDS.get(doing.state, "updating")
    generation = int((value.get("metadata") or {}).get("generation", 0))
    if int((value.get("status") or {}).get("observedGeneration", 0)) < generation:
        return "started"
    if seen.messages:
        return "error"
    done = seen.updated == seen.desired == seen.available and not seen.outdated
    return "ready" if done else "updating"


def _messages(status: Mapping[str, Any]) -> tuple[str, ...]:
    wrong = {("Progressing", "False"), ("ReplicaFailure", "True")}
    return tuple(
        str(condition.get("message") or condition.get("reason"))
        for condition in status.get("conditions") or ()
        if (condition.get("type"), condition.get("status")) in wrong
    )
