"""
Whether an object does what it is for, by the rules of kstatus.

Built-in kinds have each its own (`built_in`), others are judged by their conditions.
"""

from services.cluster_applier.domain.built_in import RULES
from services.cluster_applier.domain.condition import (
    TERMINATING,
    Health,
    Object,
    condition,
    conditions,
    failed,
    mapping,
    progressing,
    said,
)
from shared.manifests import ObjectId

__all__ = ["Health", "has_health", "health", "is_custom", "tells_health"]

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


def is_custom(group: str) -> bool:
    """Tell whether the kinds of a group are somebody's own, as far as its name says."""
    return "." in group and not group.endswith(".k8s.io")


def has_health(named: ObjectId) -> bool:
    """Tell whether there is anything to wait for in an object once it was applied."""
    return is_custom(named.group) or named.kind not in _NOTHING_TO_WAIT_FOR


def tells_health(value: Object) -> bool:
    """Tell whether an object says itself how it does."""
    status = mapping(value, "status")
    return "observedGeneration" in status or any(True for _ in conditions(value))


def health(value: Object) -> Health:
    """Return how an object does that the cluster shows like this."""
    metadata, status = mapping(value, "metadata"), mapping(value, "status")
    if metadata.get("deletionTimestamp"):
        return Health(state=TERMINATING, message="it is being deleted")
    observed, generation = status.get("observedGeneration"), metadata.get("generation")
    if observed is not None and generation is not None and observed != generation:
        return progressing("its controller has not seen it yet")
    for one in conditions(value):
        if one.get("status") == "True" and one.get("type") == "Reconciling":
            return progressing(said(one))
        if one.get("status") == "True" and one.get("type") == "Stalled":
            return failed(said(one))
    group = str(value.get("apiVersion", "")).rpartition("/")[0]
    return RULES.get((group, str(value.get("kind"))), _by_readiness)(value)


def _by_readiness(value: Object) -> Health:
    one = condition(value, "Ready")
    return progressing(said(one)) if one.get("status") in {"False", "Unknown"} else Health()
