"""How one object is to be applied: what its annotations ask, and what else is known of it."""

import json
from dataclasses import dataclass
from typing import Any

from shared.manifests import ObjectId, Policies

_ASKS = (
    b'fluxcd.io/ssa"',
    b'fluxcd.io/force"',
    b'flux.weave.works/ssa"',
    b'flux.weave.works/force"',
)
_BY_GROUP = {
    "": ("ConfigMap", "Pod", "ReplicationController", "Secret", "Service"),
    "apps": ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"),
    "batch": ("CronJob", "Job"),
    "networking.k8s.io": ("IngressClass",),
    "node.k8s.io": ("RuntimeClass",),
    "policy": ("PodDisruptionBudget",),
    "rbac.authorization.k8s.io": ("ClusterRoleBinding", "RoleBinding"),
    "scheduling.k8s.io": ("PriorityClass",),
    "storage.k8s.io": ("CSIDriver", "StorageClass"),
}
RECREATED = frozenset((group, kind) for group, kinds in _BY_GROUP.items() for kind in kinds)
"""
Kinds with fields that can't be changed, of which nothing is lost that git can't bring back.

Not a namespace, a definition or a volume: what they hold would go with them. Not a custom
resource either: nobody can tell what its controller would take down.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How to apply one object."""

    ssa: str = "override"
    forced: bool = False
    first: bool = False
    """The first time for us: what is there already is looked at before it is overwritten."""
    leave: bool = False
    """Its replicas are not ours to set ..."""
    scales: bool = False
    """... and were until now."""


def asked_by(body: bytes) -> Policies:
    """Return what the annotations of an object ask; most say nothing, and are not decoded."""
    if not any(one in body for one in _ASKS):
        return Policies(values={})
    value: Any = json.loads(body)
    return Policies.of(value)


def may_recreate(named: ObjectId) -> bool:
    """Tell whether an object may be deleted and created where it can't be changed."""
    return named.key in RECREATED
