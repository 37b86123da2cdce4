"""Everything that the gateway knows, folded from the log. Folding an event twice is harmless."""

from collections.abc import Callable, Collection, Iterable, Mapping

from services.gateway.domain.branches import Branch
from services.gateway.domain.jobs import Jobs
from services.gateway.domain.names import canonical
from shared.contract import (
    DependencyDown,
    DependencyUp,
    Envelope,
    Message,
    OrderAccepted,
    OrderCompleted,
    OrderGiven,
    OrderRejected,
    RevisionObserved,
    StateDeclared,
    SyncCompleted,
    SyncFailed,
    SyncHeld,
    UpdatePushed,
    Workload,
    WorkloadChanged,
)
from shared.manifests import ObjectId, Policies, WorkloadId


class View:
    """The state of one target, as its events tell it. *repositories* are its syncs, by id."""

    def __init__(self, target: str, repositories: Mapping[str, Collection[str]]) -> None:
        self.target = target
        self.jobs = Jobs()
        self.declared: dict[str, StateDeclared] = {}
        """By sync: the newest."""
        self.completed: dict[str, SyncCompleted] = {}
        self.failed: dict[str, SyncFailed] = {}
        """By sync: why the newest try came to nothing; empty after a success."""
        self.held: dict[str, SyncHeld] = {}
        """By sync: why it is not applied now, if so."""
        self.errors: dict[str, dict[str, str]] = {}
        """By sync, by object id: why it is not as declared."""
        self.live: dict[str, WorkloadChanged] = {}
        self.branches: dict[str, Branch] = {name: Branch() for name in repositories}
        """By repository, those of the target's syncs, the first one shown first."""
        self._repositories = repositories
        self.syncs = frozenset(sync for some in repositories.values() for sync in some)
        self.present: Mapping[str, frozenset[str]] | None = None
        """By stage: the replicas that are heard of; None while that is not known."""
        self.outages: dict[tuple[str, str], str] = {}
        """By dependency and who said so."""
        self._workloads: Mapping[str, tuple[StateDeclared, Workload]] | None = None
        self._automated: frozenset[str] | None = None
        self._sync_errors: dict[str, dict[str, str]] = {}

    @property
    def down(self) -> Mapping[str, str]:
        """Why a dependency is away, by its name: as those say who are still there."""
        if self.present is None:
            return {dependency: reason for (dependency, _), reason in self.outages.items()}
        there = frozenset().union(*self.present.values())
        said = {name: why for (name, source), why in self.outages.items() if source in there}
        return {**said, **dict.fromkeys(self.absent, "no replica of it is running")}

    @property
    def absent(self) -> Collection[str]:
        """The stages of which no replica is heard of; none while that is not known."""
        return [stage for stage, replicas in (self.present or {}).items() if not replicas]

    def fold(self, envelope: Envelope) -> None:
        """Take in one event."""
        known = _FOLDS.get(type(envelope.message))
        if known:
            known(self, envelope)

    def recall(
        self,
        *,
        declared: Iterable[StateDeclared],
        completed: Iterable[SyncCompleted],
        failed: Iterable[SyncFailed],
        held: Iterable[SyncHeld],
        live: Iterable[WorkloadChanged],
        outages: Mapping[tuple[str, str], str],
    ) -> None:
        """Know what another view knew, instead of having it told."""
        self.declared = {one.sync: one for one in declared}
        self.live = {one.id: one for one in live}
        self.failed = {}
        for done in completed:
            self._complete(done)
        self.failed = {one.sync: one for one in failed}
        self.held = {one.sync: one for one in held}
        self.outages = dict(outages)
        self._workloads = self._automated = None

    def workloads(self) -> Mapping[str, tuple[StateDeclared, Workload]]:
        """Return every workload that git declares, by its id."""
        if self._workloads is None:
            self._workloads = {
                workload.id: (state, workload)
                for state in self.declared.values()
                for workload in state.workloads
            }
        return self._workloads

    def automated_images(self) -> frozenset[str]:
        """Return the image repositories that are read without being asked."""
        if self._automated is None:
            self._automated = frozenset(
                name
                for _, workload in self.workloads().values()
                if _follows(Policies(values=workload.policies))
                for container in workload.containers
                if (name := canonical(container.image)) is not None
            )
        return self._automated

    def full_name(self, name: str) -> str:
        """Complete Flux v1's old form of an id, `namespace/name`, by what is declared or runs."""
        if ":" in name:
            return name
        meant = WorkloadId.parse(name)
        known = (*self.workloads(), *self.live)
        return next((one for one in known if meant.means(WorkloadId.parse(one))), name)

    def sync_error(self, sync: str, workload: str) -> str:
        """Return why a workload is not as declared, or nothing."""
        return self._sync_errors.get(sync, {}).get(workload, "")

    def applied(self, repository: str) -> list[str]:
        """Return the applied revision of every sync that is not suspended; empty for none yet."""
        awaited = [sync for sync in self._repositories[repository] if not self._rests(sync)]
        done = [self.completed.get(sync) for sync in awaited]
        return [one.revision if one and one.repository == repository else "" for one in done]

    def _state(self, envelope: Envelope) -> None:
        state = envelope.message
        assert isinstance(state, StateDeclared)
        if state.sync in self.syncs and state.target == self.target:
            self.declared[state.sync] = state
            self._workloads = self._automated = None

    def _revision(self, envelope: Envelope) -> None:
        seen = envelope.message
        assert isinstance(seen, RevisionObserved)
        if seen.repository in self.branches:
            revisions = [commit.revision for commit in seen.commits] or [seen.revision]
            self.branches[seen.repository].observe(revisions)

    def _pushed(self, envelope: Envelope) -> None:
        pushed = envelope.message
        assert isinstance(pushed, UpdatePushed)
        if pushed.repository in self.branches and not pushed.branch:
            self.branches[pushed.repository].push(pushed.revision)

    def _completed(self, envelope: Envelope) -> None:
        done = envelope.message
        assert isinstance(done, SyncCompleted)
        if done.target == self.target:
            self._complete(done)

    def _complete(self, done: SyncCompleted) -> None:
        self.completed[done.sync] = done
        self.failed.pop(done.sync, None)
        self.held.pop(done.sync, None)
        errors = {one.id: one.message for one in done.objects if one.action == "failed"}
        self.errors[done.sync] = errors
        self._sync_errors[done.sync] = {_workload(name): said for name, said in errors.items()}

    def _failed(self, envelope: Envelope) -> None:
        failed = envelope.message
        assert isinstance(failed, SyncFailed)
        if failed.target == self.target:
            self.failed[failed.sync] = failed

    def _rests(self, sync: str) -> bool:
        return sync in self.held and self.held[sync].suspended

    def _held(self, envelope: Envelope) -> None:
        held = envelope.message
        assert isinstance(held, SyncHeld)
        if held.target == self.target:
            self.held.pop(held.sync, None)
            if held.reason:
                self.held[held.sync] = held

    def _changed(self, envelope: Envelope) -> None:
        changed = envelope.message
        assert isinstance(changed, WorkloadChanged)
        if changed.target != self.target:
            return
        if changed.status == "gone":
            self.live.pop(changed.id, None)
        else:
            self.live[changed.id] = changed

    def _order(self, envelope: Envelope) -> None:
        job = envelope.correlationid
        match envelope.message:
            case OrderGiven() as given:
                self.jobs.give(job, given, envelope.time)
            case OrderAccepted(order=order):
                self.jobs.accept(job, order)
            case OrderCompleted(order=order, revision=revision, result=result):
                self.jobs.complete(job, order, revision, result)
            case OrderRejected(order=order, reason=reason):
                self.jobs.reject(job, order, reason)

    def _dependency(self, envelope: Envelope) -> None:
        match envelope.message:
            case DependencyDown(dependency=name, reason=reason):
                self.outages[name, envelope.source] = reason
            case DependencyUp(dependency=name):
                self.outages.pop((name, envelope.source), None)


def _follows(policies: Policies) -> bool:
    return policies.automated and not policies.locked and not policies.ignored


def _workload(name: str) -> str:
    try:
        return str(ObjectId.parse(name).workload)
    except ValueError:
        return name


_FOLDS: Mapping[type[Message], Callable[[View, Envelope], None]] = {
    StateDeclared: View._state,  # noqa: SLF001 - our own class
    RevisionObserved: View._revision,  # noqa: SLF001 - same
    UpdatePushed: View._pushed,  # noqa: SLF001 - same
    SyncCompleted: View._completed,  # noqa: SLF001 - same
    SyncFailed: View._failed,  # noqa: SLF001 - same
    SyncHeld: View._held,  # noqa: SLF001 - same
    WorkloadChanged: View._changed,  # noqa: SLF001 - same
    OrderGiven: View._order,  # noqa: SLF001 - same
    OrderAccepted: View._order,  # noqa: SLF001 - same
    OrderCompleted: View._order,  # noqa: SLF001 - same
    OrderRejected: View._order,  # noqa: SLF001 - same
    DependencyDown: View._dependency,  # noqa: SLF001 - same
    DependencyUp: View._dependency,  # noqa: SLF001 - same
}
