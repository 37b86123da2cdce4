"""Which workloads are scaled by somebody else: by what autoscalers in the cluster say."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.cluster_applier.domain.condition import mapping
from shared.manifests import ObjectId

KINDS = frozenset({("autoscaling", "HorizontalPodAutoscaler"), ("keda.sh", "ScaledObject")})
"""Groups and kinds of autoscalers."""


@dataclass(slots=True)
class Scaling:
    """Who scales what, as far as it was seen."""

    _targets: dict[str, str] = field(default_factory=dict)
    """By autoscaler: the workload that it scales, both by object id."""
    _governed: frozenset[str] = frozenset()

    def governs(self, name: str) -> bool:
        """Tell whether somebody else decides how many replicas an object has."""
        return name in self._governed

    def see(self, named: ObjectId, value: Mapping[str, Any] | None) -> tuple[str, ...]:
        """Take in an autoscaler, None where it is gone; return whose scaler has changed."""
        before = self._targets.pop(str(named), None)
        now = target(named, value) if value is not None else None
        if now is not None:
            self._targets[str(named)] = now
        if before == now:
            return ()
        self._governed = frozenset(self._targets.values())
        return tuple(one for one in (before, now) if one is not None)

    def missing(self, kind: tuple[str, str], there: Collection[str]) -> list[ObjectId]:
        """Return the autoscalers of a group and kind that are not *there* any more."""
        known = [ObjectId.parse(name) for name in self._targets if name not in there]
        return [named for named in known if named.key == kind]


def target(named: ObjectId, value: Mapping[str, Any]) -> str | None:
    """Return the object id of what an autoscaler scales."""
    reference = mapping(mapping(value, "spec"), "scaleTargetRef")
    name = reference.get("name")
    if not name:
        return None
    group, _, _ = str(reference.get("apiVersion") or "apps/v1").rpartition("/")
    kind = str(reference.get("kind") or "Deployment")
    return str(ObjectId(group=group, kind=kind, namespace=named.namespace, name=str(name)))
