"""How one object is to be applied: what its annotations ask, and what else is known of it."""

import json
from collections.abc import Collection, Mapping
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

_ALONE = frozenset({"clusterIP", "clusterIPs", "healthCheckNodePort"})
"""Of a Service, beside the ports of nodes, what no other can have."""


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


def beside(value: dict[str, Any], held: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object without what one alone can have, and that which is there has: *held*."""
    kept = {key: one for key, one in value.items() if key != "globalDefault" or not held.get(key)}
    spec, held = value.get("spec"), held.get("spec") or {}
    if value.get("kind") != "Service" or not isinstance(spec, dict):
        return kept
    spec = {key: one for key, one in spec.items() if key not in _ALONE or one != held.get(key)}
    ports = {one.get("nodePort") for one in held.get("ports") or ()}
    if isinstance(spec.get("ports"), list):
        spec["ports"] = [_without_node_port(one, ports) for one in spec["ports"]]
    return {**kept, "spec": spec}


def _without_node_port(port: Any, held: Collection[Any]) -> Any:
    if not isinstance(port, dict) or port.get("nodePort") not in held:
        return port
    return {key: one for key, one in port.items() if key != "nodePort"}


def may_recreate(named: ObjectId) -> bool:
    """Tell whether an object may be deleted and created where it can't be changed."""
    return named.key in RECREATED
