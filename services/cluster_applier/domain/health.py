"""
Whether an object does what it is for, by the rules of kstatus.

Built-in kinds have each its own, others are judged by their conditions.

Unlike kstatus a Job is ready once it is complete: who waits for a migration waits for its end.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.manifests import ObjectId

READY, PROGRESSING, FAILED, TERMINATING = "ready", "progressing", "failed", "terminating"

_NOTHING_TO_WAIT_FOR = frozenset(
    {
        "ClusterRole",
        "ClusterRoleBinding",
        "ConfigMap",
        "CronJob",
        "LimitRange",
        "Namespace",
        "NetworkPolicy",
        "PriorityClass",
        "Role",
        "RoleBinding",
        "Secret",
        "ServiceAccount",
        "StorageClass",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How an object does."""

    state: str = READY
    """ready | progressing | failed | terminating"""
    message: str = ""
    """Why it is not ready."""

    @property
    def ready(self) -> bool:
        """Whether it does what it is for."""
        return self.state == READY


Object = Mapping[str, Any]


def has_health(named: ObjectId) -> bool:
    """Tell whether there is anything to wait for in an object once it was applied."""
    built_in = "." not in named.group or named.group.endswith(".k8s.io")
    return not (built_in and named.kind in _NOTHING_TO_WAIT_FOR)


def health(value: Object) -> Health:
    """Return how an object does that the cluster shows like this."""
    metadata, status = _map(value, "metadata"), _map(value, "status")
    if metadata.get("deletionTimestamp"):
        return Health(state=TERMINATING, message="it is being deleted")
    observed, generation = status.get("observedGeneration"), metadata.get("generation")
    if observed is not None and generation is not None and observed != generation:
        return _progressing("its controller has not seen it yet")
    group = str(value.get("apiVersion", "")).rpartition("/")[0]
    rule = _RULES.get((group, str(value.get("kind"))), _by_conditions)
    return rule(value)


def _by_conditions(value: Object) -> Health:
    if _is(value, "Stalled", "True"):
        return _failed(_said(value, "Stalled"))
    if _is(value, "Reconciling", "True"):
        return _progressing(_said(value, "Reconciling"))
    if _condition(value, "Ready") and not _is(value, "Ready", "True"):
        return _progressing(_said(value, "Ready"))
    return Health()


def _deployment(value: Object) -> Health:
    spec, status = _map(value, "spec"), _map(value, "status")
    if _condition(value, "Progressing").get("reason") == "ProgressDeadlineExceeded":
        return _failed(_said(value, "Progressing"))
    if _is(value, "ReplicaFailure", "True"):
        return _failed(_said(value, "ReplicaFailure"))
    wanted, there = _number(spec, "replicas", 1), _number(status, "replicas")
    updated, available = _number(status, "updatedReplicas"), _number(status, "availableReplicas")
    if "observedGeneration" not in status:
        return _progressing("its controller has not seen it yet")
    return _counted(
        (updated, wanted, "updated"),
        (updated, there, "updated, of those that are there"),
        (available, updated, "available"),
        (_number(status, "readyReplicas"), wanted, "ready"),
    )


def _stateful_set(value: Object) -> Health:
    spec, status = _map(value, "spec"), _map(value, "status")
    strategy = _map(spec, "updateStrategy")
    if strategy.get("type") == "OnDelete":
        return Health()
    if "observedGeneration" not in status:
        return _progressing("its controller has not seen it yet")
    wanted = _number(spec, "replicas", 1)
    partition = _number(_map(strategy, "rollingUpdate"), "partition")
    found = _counted(
        (_number(status, "replicas"), wanted, "there"),
        (_number(status, "readyReplicas"), wanted, "ready"),
        (_number(status, "updatedReplicas"), max(wanted - partition, 0), "updated"),
    )
    if not found.ready or partition:
        return found
    if status.get("currentRevision") != status.get("updateRevision"):
        return _progressing("its update is not done")
    return found


def _daemon_set(value: Object) -> Health:
    status = _map(value, "status")
    if "observedGeneration" not in status:
        return _progressing("its controller has not seen it yet")
    wanted = _number(status, "desiredNumberScheduled")
    return _counted(
        (_number(status, "currentNumberScheduled"), wanted, "scheduled"),
        (_number(status, "updatedNumberScheduled"), wanted, "updated"),
        (_number(status, "numberAvailable"), wanted, "available"),
        (_number(status, "numberReady"), wanted, "ready"),
    )


def _replica_set(value: Object) -> Health:
    spec, status = _map(value, "spec"), _map(value, "status")
    if _is(value, "ReplicaFailure", "True"):
        return _failed(_said(value, "ReplicaFailure"))
    wanted = _number(spec, "replicas", 1)
    return _counted(
        (_number(status, "availableReplicas"), wanted, "available"),
        (_number(status, "readyReplicas"), wanted, "ready"),
    )


def _job(value: Object) -> Health:
    if _is(value, "Failed", "True"):
        return _failed(_said(value, "Failed"))
    if _is(value, "Complete", "True") or _is(value, "Suspended", "True"):
        return Health()
    return _progressing("it is not complete")


def _pod(value: Object) -> Health:
    status = _map(value, "status")
    waiting = [_map(_map(one, "state"), "waiting") for one in status.get("containerStatuses") or ()]
    if any(one.get("reason") == "CrashLoopBackOff" for one in waiting):
        return _failed("a container crashes again and again")
    match status.get("phase"):
        case "Succeeded":
            return Health()
        case "Failed":
            return _failed(str(status.get("message") or "it failed"))
        case "Running" if _is(value, "Ready", "True"):
            return Health()
        case phase:
            return _progressing(f"it is {phase or 'pending'}")


def _claim(value: Object) -> Health:
    phase = _map(value, "status").get("phase")
    return Health() if phase == "Bound" else _progressing(f"it is {phase or 'pending'}")


def _service(value: Object) -> Health:
    spec = _map(value, "spec")
    if spec.get("type") == "LoadBalancer" and not spec.get("clusterIP"):
        return _progressing("it has no address yet")
    return Health()


def _budget(value: Object) -> Health:
    status = _map(value, "status")
    if "observedGeneration" not in status:
        return _progressing("its controller has not seen it yet")
    return _counted(
        (_number(status, "currentHealthy"), _number(status, "desiredHealthy"), "healthy")
    )


def _definition(value: Object) -> Health:
    if _is(value, "NamesAccepted", "False"):
        return _failed(_said(value, "NamesAccepted"))
    return Health() if _is(value, "Established", "True") else _progressing("not established yet")


_RULES: Mapping[tuple[str, str], Callable[[Object], Health]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "ReplicaSet"): _replica_set,
    ("batch", "Job"): _job,
    ("", "Pod"): _pod,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Service"): _service,
    ("policy", "PodDisruptionBudget"): _budget,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
}


def _counted(*counts: tuple[int, int, str]) -> Health:
    for found, wanted, what in counts:
        if found < wanted:
            return _progressing(f"{found} of {wanted} {what}")
    return Health()


def _progressing(message: str) -> Health:
    return Health(state=PROGRESSING, message=message)


def _failed(message: str) -> Health:
    return Health(state=FAILED, message=message)


def _condition(value: Object, kind: str) -> Object:
    conditions = _map(value, "status").get("conditions") or ()
    found = (one for one in conditions if isinstance(one, Mapping) and one.get("type") == kind)
    return next(found, {})


def _is(value: Object, kind: str, status: str) -> bool:
    return bool(_condition(value, kind).get("status") == status)


def _said(value: Object, kind: str) -> str:
    one = _condition(value, kind)
    return str(one.get("message") or one.get("reason") or f"{kind} is {one.get('status')}")[:500]


def _map(value: Object, key: str) -> Object:
    found = value.get(key)
    return found if isinstance(found, Mapping) else {}


def _number(value: Object, key: str, default: int = 0) -> int:
    found = value.get(key, default)
    return found if isinstance(found, int) else default
