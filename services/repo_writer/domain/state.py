"""What a revision declares, as far as a writer cares."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.manifests import Policies, WorkloadId
from shared.runtime.errors import PermanentError


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


def find(name: str, state: State) -> Workload | None:
    """
    Return the workload called *name*, which may be in Flux v1's old form `namespace/name`.

    Raises:
        PermanentError: the name is no id.
    """
    if name in state:
        return state[name]
    try:
        meant = WorkloadId.parse(name)
    except ValueError as error:
        raise PermanentError(str(error)) from error
    return next((one for one in state.values() if meant.means(one.id)), None)
