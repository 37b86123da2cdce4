"""Everything that the gateway knows, folded from the log. Folding an event twice is harmless."""

from collections.abc import Callable, Iterable, Mapping

from services.gateway.domain.branches import Branch
from services.gateway.domain.jobs import Jobs
from shared.contract import (
    DependencyDown,
    DependencyUp,
    Envelope,
    Message,
    OrderAccepted,
    OrderCompleted,
    OrderRejected,
    RevisionObserved,
    StateDeclared,
    SyncCompleted,
    SyncFailed,
    UpdatePushed,
    Workload,
    WorkloadChanged,
)
from shared.manifests import ObjectId


class View:
    """The state of one target, as its events tell it."""

    def __init__(self, target: str, syncs: Iterable[str]) -> None:
        self.target = target
        self.jobs = Jobs()
        self.declared: dict[str, StateDeclared] = {}
        """By sync: the newest."""
        self.completed: dict[str, SyncCompleted] = {}
        self.failed: dict[str, SyncFailed] = {}
        """By sync: why the newest try came to nothing; empty after a success."""
        self.errors: dict[str, dict[str, str]] = {}
        """By sync, by object id: why it is not as declared."""
        self.live: dict[str, WorkloadChanged] = {}
        self.branches: dict[str, Branch] = {}
        self.down: dict[str, str] = {}
        self._syncs = frozenset(syncs)

    def fold(self, envelope: Envelope) -> None:
        """Take in one event."""
        known = _FOLDS.get(type(envelope.message))
        if known:
            known(self, envelope)

    def branch(self, repository: str) -> Branch:
        """Return what is known of a branch."""
        return self.branches.setdefault(repository, Branch())

    def workloads(self) -> Mapping[str, tuple[StateDeclared, Workload]]:
        """Return every workload that git declares, by its id."""
        return {
            workload.id: (state, workload)
            for state in self.declared.values()
            for workload in state.workloads
        }

    def sync_error(self, sync: str, workload: str) -> str:
        """Return why a workload is not as declared, or nothing."""
        found = (
            message
            for name, message in self.errors.get(sync, {}).items()
            if str(ObjectId.parse(name).workload) == workload
        )
        return next(found, "")

    def applied(self, repository: str) -> list[str]:
        """Return the applied revision of every sync of a repository; empty for none yet."""
        return [
            self.completed[sync].revision if sync in self.completed else ""
            for sync, state in self.declared.items()
            if state.repository == repository
        ]

    def _state(self, envelope: Envelope) -> None:
        state = envelope.message
        assert isinstance(state, StateDeclared)
        if state.sync in self._syncs and state.target == self.target:
            self.declared[state.sync] = state

    def _revision(self, envelope: Envelope) -> None:
        seen = envelope.message
        assert isinstance(seen, RevisionObserved)
        revisions = [commit.revision for commit in seen.commits] or [seen.revision]
        self.branch(seen.repository).observe(revisions)

    def _pushed(self, envelope: Envelope) -> None:
        pushed = envelope.message
        assert isinstance(pushed, UpdatePushed)
        self.branch(pushed.repository).push(pushed.revision)

    def _completed(self, envelope: Envelope) -> None:
        done = envelope.message
        assert isinstance(done, SyncCompleted)
        if done.target != self.target:
            return
        self.completed[done.sync] = done
        self.failed.pop(done.sync, None)
        self.errors[done.sync] = {
            one.id: one.message for one in done.objects if one.action == "failed"
        }

    def _failed(self, envelope: Envelope) -> None:
        failed = envelope.message
        assert isinstance(failed, SyncFailed)
        if failed.target == self.target:
            self.failed[failed.sync] = failed

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
        job = self.jobs.open(envelope.correlationid)
        match envelope.message:
            case OrderAccepted(order=order):
                job.accept(order)
            case OrderCompleted(order=order, revision=revision, result=result):
                job.complete(order, revision, result)
            case OrderRejected(order=order, reason=reason):
                job.reject(order, reason)

    def _dependency(self, envelope: Envelope) -> None:
        match envelope.message:
            case DependencyDown(dependency=name, reason=reason):
                self.down[name] = reason
            case DependencyUp(dependency=name):
                self.down.pop(name, None)


_FOLDS: Mapping[type[Message], Callable[[View, Envelope], None]] = {
    StateDeclared: View._state,  # noqa: SLF001 - our own class
    RevisionObserved: View._revision,  # noqa: SLF001 - same
    UpdatePushed: View._pushed,  # noqa: SLF001 - same
    SyncCompleted: View._completed,  # noqa: SLF001 - same
    SyncFailed: View._failed,  # noqa: SLF001 - same
    WorkloadChanged: View._changed,  # noqa: SLF001 - same
    OrderAccepted: View._order,  # noqa: SLF001 - same
    OrderCompleted: View._order,  # noqa: SLF001 - same
    OrderRejected: View._order,  # noqa: SLF001 - same
    DependencyDown: View._dependency,  # noqa: SLF001 - same
    DependencyUp: View._dependency,  # noqa: SLF001 - same
}
