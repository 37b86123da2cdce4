"""
One group as commits on one head, not yet pushed; thrown away and built anew if the branch moved.

Orders come first, each a commit of its own, then everything that was found, together in one: so
a lock that came in the same breath is seen.
"""

import asyncio
from collections.abc import Iterable, Sequence

from services.repo_writer.domain import messages, trailers
from services.repo_writer.domain.automated import DONE, SUPERSEDED, plan_automated
from services.repo_writer.domain.containers import plan_containers
from services.repo_writer.domain.notes import note
from services.repo_writer.domain.parts import parts
from services.repo_writer.domain.plan import Plan
from services.repo_writer.domain.policies import plan_policies
from services.repo_writer.domain.release import candidates, images_needed, plan_release
from services.repo_writer.domain.rollback import Past, lifted, plan_holds, plan_rollback
from services.repo_writer.domain.state import Spot, State
from services.repo_writer.domain.style import person
from services.repo_writer.editing import edited
from services.repo_writer.going_back import Held, held
from services.repo_writer.ports import Registry, Repo
from services.repo_writer.telling import Telling, Written
from shared.contract import (
    AnySpec,
    Cause,
    ContainersSpec,
    Envelope,
    ImagesFound,
    PolicySpec,
    RollbackSpec,
    UpdateRequested,
)
from shared.runtime import faults
from shared.runtime.errors import PermanentError

READ_ONLY = "cannot make a working clone of a read-only git repo"


async def plan(spec: AnySpec, state: State, registry: Registry) -> Plan:
    """Return what *spec* changes, asking the registries where that is needed."""
    if isinstance(spec, PolicySpec):
        return plan_policies(spec, state)
    if isinstance(spec, ContainersSpec):
        return plan_containers(spec, state)
    if isinstance(spec, RollbackSpec):
        raise PermanentError("a rollback is carried out or not; it has no dry run")
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
        self.head = head
        self.telling = Telling(repository, repo, head)
        self.failed: dict[str, PermanentError] = {}
        self.made: dict[str, str] = {}
        """The kinds of the commits that wait to be pushed, by revision."""
        self.notes: dict[str, str] = {}
        """Their notes."""
        self._repo = repo
        self._registry = registry
        self._unwritable = READ_ONLY if repo.readonly else refused
        self._carried_out: set[str] = set()

    async def add_order(self, envelope: Envelope, order: UpdateRequested) -> None:
        """Carry out a person's order, unless a commit says that it was."""
        if envelope.id in self._carried_out:
            return
        self._carried_out.add(envelope.id)
        for one in await self.telling.past():
            if one.told.order == envelope.id:
                self.telling.pushed(one, cause=envelope, who=order.cause)
                self.telling.completed(envelope, one.revision, one.told.result)
                return
        try:
            await self._carry_out(envelope, order)
        except PermanentError as error:
            self.failed[envelope.id] = error

    async def add_found(self, found: Sequence[tuple[Envelope, ImagesFound]]) -> None:
        """Write all updates that are still wanted, as one commit or as many as are wished for."""
        syncs = {one.sync for _, one in found}
        states = {sync: await self._repo.state(self.tip, [sync]) for sync in syncs}
        verdicts = await asyncio.to_thread(plan_automated, [one for _, one in found], states)
        causes = {id(one): envelope for envelope, one in found}
        done = [one for one, reason in verdicts.left_out if reason in {DONE, SUPERSEDED}]
        await self.telling.again(done, found[0][0])
        for one, reason in verdicts.left_out:
            if reason != DONE:
                self.telling.rejected(one, reason, causes[id(one)])
        stays = await held(verdicts.spots, states, await self._past(), self._repo, self.tip)
        if stays:
            gone = {id(kept.one) for kept in stays}
            await self._hold(stays, found[0][0])
            for kept in stays:
                self.telling.rejected(kept.one, kept.why, causes[id(kept.one)])
            left = (one for one, _ in verdicts.spots if id(one) not in gone)
            verdicts = plan_automated(left, states)
        wanted = lifted(verdicts.plan, states.values())
        failures = await self._write_found(wanted, found[0][0])
        for one, spot in verdicts.spots:
            if spot in failures:
                self.telling.rejected(one, f"unwritable: {failures[spot]}", causes[id(one)])

    async def _hold(self, stays: Iterable[Held], cause: Envelope) -> None:
        """Write down what is held, where that does not stand there yet."""
        new = [(one.workload, one.one.container, one.hold) for one in stays if not one.known]
        if new and not self._unwritable:
            await self._commit(plan_holds(new), kind="policy", envelope=cause)

    async def _past(self) -> Past:
        return [(one.revision, one.told) for one in await self.telling.past()]

    async def _write_found(self, wanted: Plan, cause: Envelope) -> dict[Spot, str]:
        """Commit *wanted*; return by spot why it could not be written."""
        if self._unwritable:
            return dict.fromkeys(wanted.edits, self._unwritable)
        failures: dict[Spot, str] = {}
        for part in parts(wanted, self._repo.style.commit):
            try:
                failures |= (await self._commit(part, kind="auto", envelope=cause)).failures
            except PermanentError as error:
                failures |= dict.fromkeys(part.edits, str(error))
        return failures

    async def _carry_out(self, envelope: Envelope, order: UpdateRequested) -> None:
        if self._unwritable:
            raise PermanentError(self._unwritable)
        state = await self._repo.state(self.tip, order.syncs)
        wanted = await self._planned(order, state)
        is_policy = isinstance(order.spec, PolicySpec)
        if not wanted.edits and not is_policy:
            raise PermanentError("no changes made in repo")
        before = self.tip
        kind = "policy" if is_policy else "release"
        done = await self._commit(wanted, kind=kind, envelope=envelope, order=order)
        revision = self.tip if self.tip != before else ""
        if wanted.edits and not revision:
            told = "; ".join(f"{name}: {reason}" for name, reason in _failures(done).items())
            raise PermanentError(f"no changes made in repo{told and f': {told}'}")
        self.telling.completed(envelope, revision, done.result)

    async def _planned(self, order: UpdateRequested, state: State) -> Plan:
        """Return what an order changes; it ends holds, since a person wants what it says."""
        if isinstance(order.spec, RollbackSpec):
            return plan_rollback(order.spec, order.cause, state, await self._past())
        wanted = await plan(order.spec, state, self._registry)
        is_policy = isinstance(order.spec, PolicySpec)
        return wanted if is_policy else lifted(wanted, [state])

    async def _commit(
        self,
        wanted: Plan,
        *,
        kind: str,
        envelope: Envelope,
        order: UpdateRequested | None = None,
    ) -> Plan:
        """Commit what of *wanted* can be edited; return the plan with what could not."""
        files, failures = await edited(self._repo, self.tip, wanted.edits)
        wanted = wanted.without(failures)
        if not files:
            return wanted
        cause, style = order.cause if order else Cause(), self._repo.style
        spec = order.spec if order else None
        # In threads: the words of 10,000 workloads take a tenth of a second each way.
        text = await asyncio.to_thread(messages.worded, wanted, kind, style, cause=cause, spec=spec)
        identity = envelope.id if order else ""
        message = await asyncio.to_thread(
            trailers.write, text, kind=kind, plan=wanted, order=identity, cause=cause
        )
        author = person(cause.user) if style.set_author else None
        parent = self.tip
        await faults.reach("commit.before")
        self.tip = await self._repo.commit(parent, files, message, author=author)
        await faults.reach("commit.after")
        self.made[self.tip] = kind
        self.notes[self.tip] = await asyncio.to_thread(note, envelope.correlationid, wanted, order)
        told = await asyncio.to_thread(trailers.read, message)
        assert told is not None, "trailers.read undoes trailers.write"
        one = Written(revision=self.tip, parent=parent, message=message, told=told)
        self.telling.pushed(one, cause=envelope, who=cause)
        return wanted


def _failures(done: Plan) -> dict[str, str]:
    return {name: one.error for name, one in done.result.items() if one.status == "failed"}
