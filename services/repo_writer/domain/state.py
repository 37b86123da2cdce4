"""What a revision declares, as far as a writer cares."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from shared.manifests import Policies, Problem, WorkloadId
from shared.runtime.errors import PermanentError

TOLD = 3
"""Problems that one sentence names."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Spot:
    """What an edit is about: one workload in one file."""

    file: str
    default_namespace: str
    """What the file's sync takes where a manifest names no namespace."""
    workload: str
    """Its id."""
    folder: str | None = None
    """In which folder generators print it; None: it stands in the file itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A workload and the file that it stands in."""

    id: WorkloadId
    file: str
    line: int
    default_namespace: str
    containers: Mapping[str, str]
    """Image as written, by container; init containers last."""
    policies: Policies
    folder: str | None = None
    """In which folder generators print it; the file is then its `.flux.yaml`."""

    @property
    def spot(self) -> Spot:
        """Where it is edited."""
        return Spot(
            file=self.file,
            default_namespace=self.default_namespace,
            workload=str(self.id),
            folder=self.folder,
        )

    @property
    def place(self) -> str:
        """For people."""
        if self.folder is not None:
            return f"{self.folder or '.'} (by {self.file})"
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What some syncs of a repository declare."""

    workloads: Mapping[str, Workload] = field(default_factory=dict)
    """By their ids."""
    twice: Mapping[str, str] = field(default_factory=dict)
    """Why a workload can't be edited: it is declared in several places. By its id."""
    unread: tuple[Problem, ...] = ()
    """Where more workloads may stand."""

    @classmethod
    def of(cls, found: Iterable[Workload], unread: Iterable[Problem] = ()) -> Self:
        """Put together what was found in files, some of which may have been read twice."""
        places: dict[str, dict[str, Workload]] = {}
        for one in found:
            places.setdefault(str(one.id), {}).setdefault(one.place, one)
        return cls(
            workloads={name: next(iter(some.values())) for name, some in places.items()},
            twice={name: _twice(some) for name, some in places.items() if len(some) > 1},
            unread=tuple(dict.fromkeys(unread)),
        )

    def joined(self, other: Self) -> Self:
        """Return what both declare."""
        both = self.workloads.keys() & other.workloads.keys()
        twice = {
            name: _twice([self.workloads[name].place, other.workloads[name].place]) for name in both
        }
        return replace(
            self,
            workloads={**other.workloads, **self.workloads},
            twice={**self.twice, **other.twice, **twice},
            unread=tuple(dict.fromkeys((*self.unread, *other.unread))),
        )

    def find(self, name: str) -> Workload | None:
        """
        Return the workload called *name*, which may be in Flux v1's old form `namespace/name`.

        Raises:
            PermanentError: the name is no id.
        """
        if name in self.workloads:
            return self.workloads[name]
        try:
            meant = WorkloadId.parse(name)
        except ValueError as error:
            raise PermanentError(str(error)) from error
        if meant.kind:
            return self.workloads.get(str(meant))
        return next((one for one in self.workloads.values() if meant.means(one.id)), None)

    def missing(self) -> str:
        """Return what to add where a workload was not found: it may stand in an unread file."""
        if not self.unread:
            return ""
        more = f" and {len(self.unread) - TOLD} more" if len(self.unread) > TOLD else ""
        return f" (could not be read: {'; '.join(map(str, self.unread[:TOLD]))}{more})"


def _twice(places: Iterable[str]) -> str:
    return f"it is declared in {' and in '.join(sorted(places)[:TOLD])}; leave only one of them"
