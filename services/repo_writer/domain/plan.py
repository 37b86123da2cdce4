"""What to write for one cause, and what is told of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from services.repo_writer.domain.state import State, Workload
from shared.contract import Change, WorkloadResult
from shared.images import ImageRef, InvalidReferenceError
from shared.manifests import Annotate, SetImage
from shared.runtime.errors import PermanentError

Edit = SetImage | Annotate


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Edits by workload, and a result for every workload that was looked at."""

    edits: Mapping[str, tuple[Edit, ...]] = field(default_factory=dict)
    result: Mapping[str, WorkloadResult] = field(default_factory=dict)

    def without(self, failures: Mapping[str, str]) -> Self:
        """Return the plan in which the edits of some workloads failed, for the reasons given."""
        failed = {
            workload: WorkloadResult(status="failed", error=reason)
            for workload, reason in failures.items()
        }
        left = {workload: edits for workload, edits in self.edits.items() if workload not in failed}
        return replace(self, edits=left, result={**self.result, **failed})


def set_images(workload: Workload, changes: tuple[Change, ...]) -> tuple[Edit, ...]:
    """
    Return the edits that make *changes* to *workload*.

    Raises:
        PermanentError: what is wanted is no image reference.
    """
    try:
        wanted = [(change.container, ImageRef.parse(change.target)) for change in changes]
    except InvalidReferenceError as error:
        raise PermanentError(f"{workload.id}: {error}") from error
    return tuple(
        SetImage(workload=workload.id, container=container, image=image)
        for container, image in wanted
    )


def plan_images(state: State, changes: Mapping[str, tuple[Change, ...]]) -> Plan:
    """Return the plan that makes *changes*, by workload, all of them successes."""
    return Plan(
        edits={name: set_images(state[name], some) for name, some in changes.items()},
        result={
            name: WorkloadResult(status="success", changes=some) for name, some in changes.items()
        },
    )
