"""In which order kinds are applied; they are deleted in the reverse."""

from collections.abc import Iterable
from typing import TypeVar

from shared.manifests import ObjectId

T = TypeVar("T")

_STAGES = (
    frozenset({"Namespace"}),
    frozenset({"CustomResourceDefinition"}),
    frozenset(
        {
            "ClusterRole",
            "ClusterRoleBinding",
            "StorageClass",
            "PriorityClass",
            "IngressClass",
            "RuntimeClass",
            "PersistentVolume",
        }
    ),
    frozenset(
        {
            "ServiceAccount",
            "Role",
            "RoleBinding",
            "ResourceQuota",
            "LimitRange",
            "NetworkPolicy",
            "ConfigMap",
            "Secret",
            "PersistentVolumeClaim",
            "Service",
        }
    ),
    frozenset(
        {
            "Deployment",
            "StatefulSet",
            "DaemonSet",
            "ReplicaSet",
            "ReplicationController",
            "Job",
            "CronJob",
            "Pod",
        }
    ),
)
_BY_KIND = {kind: number for number, kinds in enumerate(_STAGES) for kind in kinds}
_REST = len(_STAGES)
_LAST = _REST + 1
_WEBHOOKS = frozenset(
    {"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "APIService"}
)

DEFINITIONS = 1
"""The stage after which custom resource definitions must be established."""


def stage(named: ObjectId) -> int:
    """Return the stage in which an object is applied."""
    if named.kind in _WEBHOOKS:
        return _LAST  # what they guard must be there before they do
    return _BY_KIND.get(named.kind, _REST)


def staged(items: Iterable[tuple[ObjectId, T]]) -> list[tuple[int, list[T]]]:
    """Return *items* stage by stage."""
    found: dict[int, list[T]] = {}
    for named, item in items:
        found.setdefault(stage(named), []).append(item)
    return sorted(found.items())
