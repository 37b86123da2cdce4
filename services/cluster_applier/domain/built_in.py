"""
When an object of a built-in kind is ready: the rules of kstatus.

Unlike kstatus a Job is ready once it is complete: who waits for a migration waits for its end. A
Pod that failed has failed, and one that finds no node is progressing: a node may come.
"""

from collections.abc import Callable, Mapping

from services.cluster_applier.domain.condition import (
    Health,
    Object,
    condition,
    counted,
    failed,
    holds,
    mapping,
    number,
    progressing,
    said,
)

UNSEEN = "its controller has not seen it yet"


def _deployment(value: Object) -> Health:
    spec, status = mapping(value, "spec"), mapping(value, "status")
    rolling = condition(value, "Progressing")
    if rolling.get("reason") == "ProgressDeadlineExceeded":
        return failed(said(rolling))
    if "observedGeneration" not in status:
        return progressing(UNSEEN)
    wanted, updated = number(spec, "replicas", 1), number(status, "updatedReplicas")
    found = counted(
        (number(status, "replicas"), wanted, "there"),
        (updated, wanted, "updated"),
        (wanted, number(status, "replicas"), "are wanted, the others end"),
        (number(status, "availableReplicas"), updated, "available"),
        (number(status, "readyReplicas"), wanted, "ready"),
    )
    if not found.ready:
        why = condition(value, "ReplicaFailure")
        return progressing(said(why)) if why.get("status") == "True" else found
    if "progressDeadlineSeconds" in spec and rolling.get("reason") != "NewReplicaSetAvailable":
        return progressing(said(rolling) if rolling else UNSEEN)
    if not holds(value, "Available"):
        return progressing(said({"type": "Available", **condition(value, "Available")}))
    return found


def _stateful_set(value: Object) -> Health:
    spec, status = mapping(value, "spec"), mapping(value, "status")
    strategy = mapping(spec, "updateStrategy")
    if strategy.get("type") == "OnDelete":
        return Health()
    if "observedGeneration" not in status:
        return progressing(UNSEEN)
    wanted, rolling = number(spec, "replicas", 1), mapping(strategy, "rollingUpdate")
    is_parted = "partition" in rolling
    found = counted(
        (number(status, "replicas"), wanted, "there"),
        (number(status, "readyReplicas"), wanted, "ready"),
        (wanted, number(status, "replicas"), "are wanted, the others end"),
        (number(status, "updatedReplicas"), wanted - number(rolling, "partition"), "updated")
        if is_parted
        else (number(status, "currentReplicas"), wanted, "current"),
    )
    if not found.ready or is_parted:
        return found
    if status.get("currentRevision") != status.get("updateRevision"):
        return progressing("its update is not done")
    return found


def _daemon_set(value: Object) -> Health:
    status = mapping(value, "status")
    if "observedGeneration" not in status or "desiredNumberScheduled" not in status:
        return progressing(UNSEEN)
    wanted = number(status, "desiredNumberScheduled")
    return counted(
        (number(status, "currentNumberScheduled"), wanted, "scheduled"),
        (number(status, "updatedNumberScheduled"), wanted, "updated"),
        (number(status, "numberAvailable"), wanted, "available"),
        (number(status, "numberReady"), wanted, "ready"),
    )


def _replica_set(value: Object) -> Health:
    status, why = mapping(value, "status"), condition(value, "ReplicaFailure")
    if why.get("status") == "True":
        return progressing(said(why))
    wanted = number(mapping(value, "spec"), "replicas", 1)
    return counted(
        (number(status, "fullyLabeledReplicas"), wanted, "labelled"),
        (number(status, "availableReplicas"), wanted, "available"),
        (number(status, "readyReplicas"), wanted, "ready"),
        (wanted, number(status, "replicas"), "are wanted, the others end"),
    )


def _job(value: Object) -> Health:
    why = condition(value, "Failed")
    if why.get("status") == "True":
        return failed(said(why))
    if holds(value, "Complete") or holds(value, "Suspended"):
        return Health()
    return progressing("it is not complete")


def _pod(value: Object) -> Health:
    status = mapping(value, "status")
    match status.get("phase"):
        case "Succeeded":
            return Health()
        case "Failed":
            return failed(str(status.get("message") or status.get("reason") or "it failed"))
        case "Running" if holds(value, "Ready"):
            return Health()
        case "Running" if _crashes(status):
            return failed("a container crashes again and again")
        case phase:
            why = condition(value, "PodScheduled")
            unscheduled = f": {said(why)}" if why.get("status") == "False" else ""
            return progressing(f"it is {phase or 'Pending'}{unscheduled}")


def _crashes(status: Object) -> bool:
    found = status.get("containerStatuses")
    ones = [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
    waiting = [mapping(mapping(one, "state"), "waiting") for one in ones]
    return any(one.get("reason") == "CrashLoopBackOff" for one in waiting)


def _claim(value: Object) -> Health:
    phase = mapping(value, "status").get("phase")
    return Health() if phase == "Bound" else progressing(f"it is {phase or 'Pending'}")


def _service(value: Object) -> Health:
    spec = mapping(value, "spec")
    if spec.get("type") == "LoadBalancer" and not spec.get("clusterIP"):
        return progressing("it has no address yet")
    return Health()


def _budget(value: Object) -> Health:
    if "observedGeneration" not in mapping(value, "status"):
        return progressing(UNSEEN)
    return Health()


def _definition(value: Object) -> Health:
    names, established = condition(value, "NamesAccepted"), condition(value, "Established")
    if names.get("status") == "False":
        return failed(said(names))
    if established.get("status") == "False" and established.get("reason") != "Installing":
        return failed(said(established))
    return Health() if holds(value, "Established") else progressing("not established yet")


def _always(_: Object) -> Health:
    return Health()


RULES: Mapping[tuple[str, str], Callable[[Object], Health]] = {
    ("", "ConfigMap"): _always,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Pod"): _pod,
    ("", "Secret"): _always,
    ("", "Service"): _service,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "Deployment"): _deployment,
    ("apps", "ReplicaSet"): _replica_set,
    ("apps", "StatefulSet"): _stateful_set,
    ("batch", "CronJob"): _always,
    ("batch", "Job"): _job,
    ("policy", "PodDisruptionBudget"): _budget,
}
"""By group and kind."""
