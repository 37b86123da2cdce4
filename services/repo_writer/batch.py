"""
One group as commits on one head, not yet pushed; thrown away and built anew if the branch moved.

Orders come first, each a commit of its own, then everything that was found, together in one: so
a lock that came in the same breath is seen.
"""

import asyncio
from collections.abc import Sequence
from uuid import NAMESPACE_URL, uuid5

from services.repo_writer.domain import messages, trailers
from services.repo_writer.domain.automated import DONE, plan_automated
from services.repo_writer.domain.containers import plan_containers
from services.repo_writer.domain.plan import Plan
from services.repo_writer.domain.policies import plan_policies
from services.repo_writer.domain.release import candidates, images_needed, plan_release
from services.repo_writer.domain.state import State
from services.repo_writer.editing import edited
from services.repo_writer.ports import Registry, Repo
from shared.contract import (
    Cause,
    ContainersSpec,
    Draft,
    Envelope,
    ImagesFound,
    ImageSpec,
    OrderCompleted,
    PolicySpec,
    UpdatePushed,
    UpdateRejected,
    UpdateRequested,
)
from shared.runtime.errors import PermanentError

READ_ONLY = "cannot make a working clone of a read-only git repo"


async def plan(
    spec: ImageSpec | ContainersSpec | PolicySpec, state: State, registry: Registry
) -> Plan:
    """Return what *spec* changes, asking the registries where that is needed."""
    if isinstance(spec, PolicySpec):
        return plan_policies(spec, state)
    if isinstance(spec, ContainersSpec):
        return plan_containers(spec, state)
    # In threads: of all workloads and all their tags, that is a second for 10,000 of them.
    found = await asyncio.to_thread(candidates, spec, state)
    needed = await asyncio.to_thread(images_needed, spec, found)
    return await asyncio.to_thread(plan_release, spec, found, state, await registry.tags(needed))


class Batch:
    """Commits on top of *head*, and what to tell once they have landed."""

    def __init__(
        self, repository: str, repo: Repo, registry: Registry, head: str, *, refused: str = ""
    ) -> None:
        self.tip = head
        self.events: list[Draft] = []
        self.failed: dict[str, PermanentError] = {}
        self.head = head
        self.made: set[str] = set()
        """The commits that wait to be pushed."""
        self._repository = repository
        self._repo = repo
        self._registry = registry
        self._unwritable = READ_ONLY if repo.readonly else refused
        self._answered: set[str] = set()
        """Orders that were carried out here, and commits that were told."""
        self._commits: list[tuple[str, str, str, trailers.Told]] | None = None

    async def add_order(self, envelope: Envelope, order: UpdateRequested) -> None:
        """Carry out a person's order, unless a commit says that it was."""
        if envelope.id in self._answered:
            return
        self._answered.add(envelope.id)
        for revision, parent, message, told in await self._told():
            if told.order == envelope.id:
                self._tell(revision, parent, message, told, cause=envelope, who=order.cause)
                self.events.append(self._completed(envelope, revision, told))
                return
        try:
            await self._carry_out(envelope, order)
        except PermanentError as error:
            self.failed[envelope.id] = error

    async def add_found(self, found: Sequence[tuple[Envelope, ImagesFound]]) -> None:
        """Write all updates that are still wanted as one commit."""
        syncs = {one.sync for _, one in found}
        states = {sync: await self._repo.state(self.tip, [sync]) for sync in syncs}
        verdicts = plan_automated((one for _, one in found), states)
        causes = {id(one): envelope for envelope, one in found}
        done = [one for one, reason in verdicts.left_out if reason == DONE]
        await self._tell_again(done, found[0][0])
        for one, reason in verdicts.left_out:
            if reason != DONE:
                self._reject(one, reason, causes[id(one)])
        wanted = verdicts.plan
        if self._unwritable:
            written = wanted.without(dict.fromkeys(wanted.edits, self._unwritable))
        else:
            written = await self._commit(wanted, kind="auto", envelope=found[0][0], cause=Cause())
        for one, spot in verdicts.spots:
            if spot in written.failures:
                self._reject(one, f"unwritable: {written.failures[spot]}", causes[id(one)])

    async def _carry_out(self, envelope: Envelope, order: UpdateRequested) -> None:
        if self._unwritable:
            raise PermanentError(self._unwritable)
        state = await self._repo.state(self.tip, order.syncs)
        wanted = await plan(order.spec, state, self._registry)
        is_policy = isinstance(order.spec, PolicySpec)
        if not wanted.edits and not is_policy:
            raise PermanentError("no changes made in repo")
        before = self.tip
        done = await self._commit(
            wanted,
            kind="policy" if is_policy else "release",
            envelope=envelope,
            cause=order.cause,
            order=order,
        )
        revision = self.tip if self.tip != before else ""
        if wanted.edits and not revision:
            raise PermanentError(f"no changes made in repo{_failures(done)}")
        self.events.append(self._completed(envelope, revision, done))

    async def _commit(
        self,
        wanted: Plan,
        *,
        kind: str,
        envelope: Envelope,
        cause: Cause,
        order: UpdateRequested | None = None,
    ) -> Plan:
        """Commit what of *wanted* can be edited; return the plan with what could not."""
        files, failures = await edited(self._repo, self.tip, wanted.edits)
        wanted = wanted.without(failures)
        if not files:
            return wanted
        text = messages.ordered(order.spec, cause, wanted) if order else messages.automated(wanted)
        message = trailers.write(
            f"{text.rstrip()}\n\n{self._repo.ci_skip}",
            kind=kind,
            plan=wanted,
            order=envelope.id if order else "",
            cause=cause,
        )
        parent, self.tip = self.tip, await self._repo.commit(self.tip, files, message)
        self.made.add(self.tip)
        told = trailers.read(message)
        assert told is not None, "trailers.read undoes trailers.write"
        self._tell(self.tip, parent, message, told, cause=envelope, who=cause)
        return wanted

    async def _told(self) -> list[tuple[str, str, str, trailers.Told]]:
        """Return our own commits that the head has, the newest first."""
        if self._commits is None:
            self._commits = [
                (revision, parent, message, told)
                for revision, parent, message in await self._repo.written(self.head)
                if (told := trailers.read(message)) is not None
            ]
        return self._commits

    async def _tell_again(self, done: Sequence[ImagesFound], cause: Envelope) -> None:
        """Tell the commits by which updates that are there already were written."""
        left = {(one.workload, one.container, one.chosen) for one in done}
        for revision, parent, message, told in await self._told() if left else ():
            changes = {
                (workload, change.container, change.target)
                for workload, one in told.result.items()
                for change in one.changes
            }
            if changes & left:
                left -= changes
                self._tell(revision, parent, message, told, cause=cause, who=Cause())

    def _tell(
        self,
        revision: str,
        parent: str,
        message: str,
        told: trailers.Told,
        *,
        cause: Envelope,
        who: Cause,
    ) -> None:
        if revision in self._answered:
            return
        self._answered.add(revision)
        pushed = UpdatePushed(
            repository=self._repository,
            revision=revision,
            previous=parent,
            message=message,
            kind=told.kind,
            result=told.result,
            cause=who,
        )
        # The same commit told twice is the same fact.
        identity = str(uuid5(NAMESPACE_URL, f"update.pushed/{self._repository}/{revision}"))
        self.events.append(Draft(message=pushed, cause=cause, id=identity))

    def _completed(self, envelope: Envelope, revision: str, done: Plan | trailers.Told) -> Draft:
        message = OrderCompleted(
            order=envelope.id, about=self._repository, revision=revision, result=done.result
        )
        return Draft(message=message, cause=envelope)

    def _reject(self, one: ImagesFound, reason: str, cause: Envelope) -> None:
        message = UpdateRejected(
            repository=self._repository,
            workload=one.workload,
            container=one.container,
            chosen=one.chosen,
            reason=reason,
        )
        self.events.append(Draft(message=message, cause=cause))


def _failures(done: Plan) -> str:
    told = [f"{name}: {one.error}" for name, one in done.result.items() if one.status == "failed"]
    return f": {'; '.join(told)}" if told else ""
