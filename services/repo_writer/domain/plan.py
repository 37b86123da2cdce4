"""What to write for one cause, and what is told of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from services.repo_writer.domain.state import Spot, State, Workload
from shared.contract import Change, WorkloadResult
from shared.images import ImageRef, InvalidReferenceError
from shared.manifests import Annotate, SetImage
from shared.runtime.errors import PermanentError

Edit = SetImage | Annotate
Edits = Mapping[Spot, tuple[Edit, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Edits by spot, and a result for every workload that was looked at."""

    edits: Edits = field(default_factory=dict)
    result: Mapping[str, WorkloadResult] = field(default_factory=dict)
    changes: Mapping[Spot, tuple[Change, ...]] = field(default_factory=dict)
    """What becomes of each spot, where a workload may have several: one in each sync."""
    forced: tuple[str, ...] = ()
    """Locked workloads that are changed all the same."""
    held: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """By workload: containers, each with the tag that it is kept from."""
    failures: Mapping[Spot, str] = field(default_factory=dict)
    """Why edits could not be made."""

    def with_edits(self, edits: Edits) -> Self:
        """Return the plan with other edits."""
        return replace(self, edits=edits)

    def without(self, failures: Mapping[Spot, str]) -> Self:
        """Return the plan in which some edits failed, for the reasons given."""
        left = {spot: edits for spot, edits in self.edits.items() if spot not in failures}
        written = {spot.workload for spot in left}
        result = {**self.result}
        for spot, reason in failures.items():
            name = spot.workload
            update = {"error": reason, "changes": self._changes(name, left)}
            if name not in written:
                update |= {"status": "failed"}
            result[name] = result[name].model_copy(update=update)
        forced = tuple(name for name in self.forced if name in written)
        held = {name: some for name, some in self.held.items() if name in written}
        return replace(self, edits=left, result=result, forced=forced, held=held, failures=failures)

    def _changes(self, workload: str, spots: Iterable[Spot]) -> tuple[Change, ...]:
        found = (self.changes.get(spot, ()) for spot in spots if spot.workload == workload)
        return tuple(dict.fromkeys(change for some in found for change in some))


def set_images(workload: Workload, changes: Iterable[Change]) -> tuple[Edit, ...]:
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


def declared_twice(name: str, state: State) -> WorkloadResult | None:
    """Return the result of a workload of which nobody can say where to edit it."""
    reason = state.twice.get(name)
    return WorkloadResult(status="failed", error=reason) if reason else None
