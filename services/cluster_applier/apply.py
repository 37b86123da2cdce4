"""Applies objects, stage by stage, several at a time; each ends with a result of its own."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from services.cluster_applier.answers import Answer
from services.cluster_applier.domain.drift import Effect
from services.cluster_applier.domain.fields import Path
from services.cluster_applier.domain.inventory import ANY, Applied
from services.cluster_applier.domain.ledger import Ledger, number
from services.cluster_applier.domain.ownership import ours
from services.cluster_applier.domain.plan import Wanted
from services.cluster_applier.domain.refusal import is_final, lacks_namespace, webhook
from services.cluster_applier.domain.stages import DEFINITIONS, stage, staged
from services.cluster_applier.domain.takeover import owns_replicas
from services.cluster_applier.established import wait_established
from services.cluster_applier.kube import Kube
from services.cluster_applier.outcome import Outcome, unserved, why
from services.cluster_applier.pace import Pace, pace
from services.cluster_applier.ports import Answered
from services.cluster_applier.putting import put, selecting
from services.cluster_applier.sending import IGNORED, Sent
from services.cluster_applier.turns import Hung, Turns
from services.cluster_applier.webhooks import Webhooks
from shared.bundle.format import Bundle
from shared.contract import ObjectResult
from shared.manifests import ObjectId
from shared.runtime import faults
from shared.runtime.errors import PermanentError

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Whom a round asks, and tells, while it goes on."""

    answered: Answered
    """Told what became of an object."""
    still_ours: Callable[[], Awaitable[None]]
    """Raises TemporaryError where another applier works on the same sync."""
    gives: Callable[[str, str], Awaitable[bool]]
    """Asked, with object id and owner, whether that sync declares the object no more."""
    left: Callable[[str], Sequence[Path]] = lambda _: ()
    """Asked, with object id, which fields are left to those who insist on them."""


class Applying(Outcome):
    """One round of changes of one sync."""

    def __init__(
        self,
        sync: str,
        kube: Kube,
        ledger: Ledger,
        bundle: Bundle,
        known: Mapping[str, Applied],
        *,
        asking: Asking,
        webhooks: Webhooks,
        carried: Sequence[ObjectResult] = (),
        hung: Hung | None = None,
        lacking: Collection[str] = (),
    ) -> None:
        super().__init__(carried, lacking)
        self.turns = Turns[Wanted](hung)
        self._selects = selecting(webhooks, bundle)
        self._sync = sync
        self._kube = kube
        self._ledger = ledger
        self._bundle = bundle
        self._known = known
        self._asking = asking
        self._pace: Pace | None = None
        self._wanted: dict[str, Wanted] = {}
        self._waiting: set[str] = set()
        self._step: int | None = None
        """The stage whose end is waited for."""

    async def apply(
        self, wanted: Sequence[Wanted], at_once: int, unchanged: Iterable[Wanted] = ()
    ) -> None:
        """
        Apply *wanted* in stages; a stage begins when the one before is done.

        Of *unchanged* those are applied that drift meanwhile.
        """
        self._waiting = {str(one.id) for one in wanted}
        self._wanted = {str(one.id): one for one in (*wanted, *unchanged)}
        try:
            async with pace(at_once, name=f"apply {self._sync}") as self._pace:
                for step, some in staged((one.id, one) for one in wanted):
                    await self._asking.still_ours()
                    self._step = step
                    await self._all(self._pace, some)
                    self._step = None
                    if step == DEFINITIONS:
                        new = [one for one in some if str(one.id) in self.applied]
                        await self._pace.each(new, partial(wait_established, self._kube))
        finally:
            self._pace = self._step = None

    async def _all(self, pace: Pace, some: Sequence[Wanted]) -> None:
        """Apply *some*, and what had to wait for one of its kind; do not wait for what hangs."""
        needed = self._step is not None and self._step <= DEFINITIONS
        ordered = sorted(some, key=self._order)
        await pace.each(ordered, self._one, more=self.turns.due, all_=needed)

    def _order(self, one: Wanted) -> tuple[int, int, int]:
        """Return that of the bundle, so that each chunk is opened once; last what hung before."""
        return self.turns.order(one.id), one.entry.chunk, one.entry.offset

    def _go_on(self, named: ObjectId) -> None:
        """Let those go whose turn has come, unless the stage that is waited for does so."""
        if self._pace is not None and stage(named) != self._step and (due := self.turns.due()):
            self._pace.at_once(self._all(self._pace, due))

    def correct(self, name: str) -> bool:
        """Put an object back beside the rest, if this round is about it; return whether it is."""
        if self._pace is None or name not in self._wanted:
            return False
        if name in self._waiting or self._ledger.in_flight(name):
            return True
        return self._pace.at_once(self._beside(self._wanted[name]))

    async def _beside(self, one: Wanted) -> None:
        """Put an object back though it is not its turn, then those that waited for that."""
        todo: Wanted | None = one
        while todo is not None:
            await self._one(todo, in_turn=False)
            todo = None if str(todo.id) in self._waiting else self.turns.one_beside()

    async def _one(self, one: Wanted, *, in_turn: bool = True) -> None:
        self._waiting.discard(str(one.id))
        if not await self._is_mine(one):
            return
        if one.id.namespace in self.lacking:
            self.hold(one, "failed", "not tried: its namespace is missing, or about to go")
            return
        lane = await self.turns.lane(one.id, one, self._selects)
        if reason := self.turns.reason_to_hold(lane):
            self.unfinished = True
            self.hold(one, "failed", reason)
        elif self.turns.put_aside(lane, one, beside=not in_turn):
            self._waiting.add(str(one.id))
        else:
            with self.turns.taken(lane, one.id, beside=not in_turn):
                await self._send(one)
            self._go_on(one.id)

    async def _send(self, one: Wanted) -> None:
        name = str(one.id)
        self._ledger.begin(name)
        try:
            await faults.reach("apply.before")
            body, left = self._bundle.object(one.entry), self._asking.left(name)
            known = self._known.get(name)
            sent = await put(self._kube, self._ledger, one, body, known, left=left)
            await faults.reach("apply.after")
        except PermanentError as error:
            self.refuse(one, str(error))
        except BaseException:
            self._doubt(name)
            raise
        else:
            await self._settle(one, sent)
        finally:
            self._ledger.abandon(name)

    async def _is_mine(self, one: Wanted) -> bool:
        name = str(one.id)
        if self._ledger.ignored(name):
            self.hold(one, "skipped", IGNORED)
            return False
        owner = self._ledger.owner(name)
        if owner in {None, self._sync}:
            return True
        if await self._asking.gives(name, str(owner)):
            self._ledger.take(name, self._sync)
            return True
        self.refuse(one, f"is declared by the sync {owner} already, which keeps it")
        return False

    async def _settle(self, one: Wanted, sent: Sent) -> None:
        answer = sent.answer
        if answer is None:
            self._leave(one, sent)
            return
        meaningless = answer.ok and not answer.metadata.get("uid")
        if answer.transient or meaningless:
            self.unfinished = True
            self.retry_after = max(self.retry_after, answer.retry_after or 0.0)
        if answer.passing or meaningless:
            self.turns.failed(one.id, webhook(answer.reason))
            self._doubt(str(one.id))
            self.refuse(one, why(one, answer))
            await self._kube.alive()
            return
        self.turns.answered(one.id)
        if answer.ok:
            self._note(one, sent, answer)
            return
        reason = why(one, answer) + (f"; {sent.said}" if sent.said else "")
        if answer.names_nothing:
            self.unserved = self.unfinished = True
            reason = unserved(one)
        if lacks_namespace(answer.status, answer.body):
            self.refuse_lacking(one, reason)
            return
        if is_final(answer.status, answer.reason):
            self.refused[str(one.id)] = one.entry.digest, reason
        self.refuse(one, reason)

    def _leave(self, one: Wanted, sent: Sent) -> None:
        """Note an object that is left as it is."""
        before = self._known.get(str(one.id))
        if sent.once and before is not None and before.uid:
            # What we created ourselves, and may look as it likes since.
            self.applied[str(one.id)] = before.model_copy(update={"digest": one.entry.digest})
        note = self.hold if sent.once else self.tell
        note(one, "skipped", sent.said)

    def _note(self, one: Wanted, sent: Sent, answer: Answer) -> None:
        name, metadata, created = str(one.id), answer.metadata, answer.status == 201
        before, fields = self._known.get(name), ANY if sent.once else ours(metadata)
        version = number(metadata.get("resourceVersion"))
        late = self._ledger.end(name, self._sync, fields, version)
        done = Effect.NONE if before and before.fields == fields else Effect.CHANGED
        effect = Effect.CREATED if created else done
        self._asking.answered(name, metadata, late, effect=effect)
        self.applied[name] = Applied(
            digest=one.entry.digest,
            # What was left out is told by nobody else: the next process finds that it differs.
            fields=before.fields if before and sent.left else fields,
            uid=str(metadata.get("uid", "")),
            created=created or (before.created if before else False),
            replicas=owns_replicas(metadata),
            encrypted=one.entry.encrypted,
        )
        self.tell(one, "created" if created else "configured", sent.said)

    def _doubt(self, name: str) -> None:
        """Remember that what was sent may have been done, or not."""
        before = self._known.get(name)
        if before is not None:
            self.applied[name] = before.unsure
