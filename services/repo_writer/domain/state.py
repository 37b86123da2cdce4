"""What a revision declares, as far as a writer cares."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.manifests import Policies, WorkloadId


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A workload and the file that it stands in."""

    id: WorkloadId
    file: str
    default_namespace: str
    """What the file's sync takes where a manifest names no namespace."""
    containers: Mapping[str, str]
    """Image as written, by container; init containers last."""
    policies: Policies


State = Mapping[str, Workload]
"""By workload id as text."""
