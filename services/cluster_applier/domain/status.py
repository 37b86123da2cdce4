"""
How a workload does, in Flux v1's words: started, updating, ready or error.

Of most kinds all in the cluster are told, as in Flux v1; of others those that we applied.
"""

from collections.abc import Mapping
from typing import Any

from services.cluster_applier.domain.condition import conditions, mapping, number, said
from services.cluster_applier.domain.health import Health, is_custom
from shared.contract import Rollout
from shared.manifests import containers

KINDS = frozenset(
    {("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet"), ("batch", "CronJob")}
)
"""Groups and kinds of which all are told."""
_OURS = frozenset({("apps", "ReplicaSet"), ("batch", "Job"), ("", "Pod")})
_ROLLED = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
"""Also those of others that are called so: OpenKruise's tell the same numbers."""
_WORDS = {"ready": "ready", "failed": "error"}


def is_told(kind: tuple[str, str]) -> bool:
    """Tell whether it is told how objects of a group and kind do."""
    return kind in KINDS or kind in _OURS or is_custom(kind[0])


def images(value: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the image of every container, init containers last."""
    return {container.name: container.image for container in containers(value)}


def rollout(value: Mapping[str, Any]) -> Rollout:
    """Return how far the rollout of a workload is, as far as it says so in numbers."""
    status = mapping(value, "status")
    match value.get("kind"):
        case "DaemonSet":
            desired = number(status, "desiredNumberScheduled")
            updated = number(status, "updatedNumberScheduled")
            return Rollout(
                desired=desired,
                updated=updated,
                ready=number(status, "numberReady"),
                available=number(status, "numberAvailable"),
                outdated=max(desired - updated, 0),
                messages=_messages(value),
            )
        case "Deployment" | "StatefulSet" | "ReplicaSet" as kind:
            replicas = number(status, "replicas")
            updated = number(status, "replicas" if kind == "ReplicaSet" else "updatedReplicas")
            return Rollout(
                desired=number(mapping(value, "spec"), "replicas", 1),
                updated=updated,
                ready=number(status, "readyReplicas"),
                available=number(status, "availableReplicas"),
                outdated=max(replicas - updated, 0),
                messages=_messages(value),
            )
        case _:
            return Rollout()


def state(value: Mapping[str, Any], seen: Rollout, doing: Health) -> str:
    """Return the status of a workload whose rollout is *seen*, and of others by how they do."""
    if value.get("kind") not in _ROLLED:
        return _WORDS.get(doing.state, "updating")
    generation = number(mapping(value, "metadata"), "generation")
    if number(mapping(value, "status"), "observedGeneration") < generation:
        return "started"
    if seen.messages:
        return "error"
    done = seen.updated == seen.desired == seen.available and not seen.outdated
    return "ready" if done else "updating"


def _messages(value: Mapping[str, Any]) -> tuple[str, ...]:
    wrong = (("Progressing", "False"), ("ReplicaFailure", "True"))
    return tuple(
        said(one) for one in conditions(value) if (one.get("type"), one.get("status")) in wrong
    )
