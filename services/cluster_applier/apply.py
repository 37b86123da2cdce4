"""Applies objects, stage by stage, several at a time; each ends with a result of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from services.cluster_applier.answers import Answer
from services.cluster_applier.domain.drift import Drift
from services.cluster_applier.domain.inventory import Applied
from services.cluster_applier.domain.ledger import Ledger, number
from services.cluster_applier.domain.ownership import ours
from services.cluster_applier.domain.plan import Wanted
from services.cluster_applier.domain.refusal import is_final, sentence
from services.cluster_applier.domain.stages import DEFINITIONS, staged
from services.cluster_applier.domain.takeover import leaves_replicas, owns_replicas
from services.cluster_applier.kube import Kube
from services.cluster_applier.pace import Pace, pace
from services.cluster_applier.sending import send
from shared.bundle.format import Bundle
from shared.contract import ObjectResult
from shared.runtime import faults
from shared.runtime.errors import PermanentError

logger = structlog.get_logger(__name__)

ESTABLISHED = 10.0
"""Seconds that a new definition may take until its objects are served."""
ENOUGH = 3
"""So many of a kind in a row fail for a while; then the others are not tried in this round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Whom a round asks, and tells, while it goes on."""

    answered: Callable[[str, int, Drift | None], None]
    """Told object id, version and, if there was, drift that came while it was being applied."""
    still_ours: Callable[[], Awaitable[None]]
    """Raises TemporaryError where another applier works on the same sync."""
    gives: Callable[[str, str], Awaitable[bool]]
    """Asked, with object id and owner, whether that sync declares the object no more."""


class Applying:
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
        carried: Sequence[ObjectResult] = (),
    ) -> None:
        self.results: list[ObjectResult] = list(carried)
        self.held: list[ObjectResult] = []
        """Of objects that were not even tried; told where there is anything else to tell."""
        self.applied: dict[str, Applied] = {}
        self.refused: dict[str, tuple[str, str]] = {}
        """By object id: digest and reason of what only a change of the object can help."""
        self.unserved = False
        """A kind was not where the server said that it is."""
        self.unfinished = False
        """Something failed that may work a little later."""
        self._sync = sync
        self._kube = kube
        self._ledger = ledger
        self._bundle = bundle
        self._known = known
        self._asking = asking
        self._pace: Pace | None = None
        self._wanted: dict[str, Wanted] = {}
        self._waiting: set[str] = set()
        self._troubles: dict[tuple[str, str], int] = {}

    @property
    def failed(self) -> bool:
        """Whether any object is not as it is declared."""
        return any(one.action == "failed" for one in (*self.results, *self.held))

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
                    # In the order of the bundle, so that each of its chunks is opened once.
                    ordered = sorted(some, key=lambda one: (one.entry.chunk, one.entry.offset))
                    needed = step <= DEFINITIONS
                    await self._pace.each(ordered, self._one, all_=needed)
                    if step == DEFINITIONS:
                        new = [one for one in ordered if str(one.id) in self.applied]
                        await self._pace.each(new, self._wait_established)
        finally:
            self._pace = None

    def correct(self, name: str) -> bool:
        """Put an object back beside the rest, if this round is about it; return whether it is."""
        if self._pace is None or name not in self._wanted:
            return False
        if name not in self._waiting and not self._ledger.in_flight(name):
            self._pace.at_once(self._one(self._wanted[name]))
        return True

    def refuse_unknown(self, unknown: Iterable[Wanted]) -> None:
        """Note objects whose kind the cluster does not serve."""
        for one in unknown:
            kind = f"{one.id.group or 'core'}/{one.entry.version} {one.id.kind}"
            self.refuse(one, f"the cluster serves no {kind}; tried again when it is defined")

    def refuse(self, one: Wanted, reason: str) -> None:
        """Note that an object could not be applied."""
        entry = one.entry
        where = {"file": entry.file, "line": entry.line}
        logger.error("object not applied", object=str(one.id), reason=reason, **where)
        self.results.append(_result(one, "failed", reason))

    def hold(self, one: Wanted, action: str, reason: str) -> None:
        """Note an object that is not tried; that was told when it became so."""
        self.held.append(_result(one, action, reason))

    async def _one(self, one: Wanted) -> None:
        name = str(one.id)
        self._waiting.discard(name)
        if not await self._is_mine(one):
            return
        kind = one.id.group, one.id.kind
        if self._troubles.get(kind, 0) >= ENOUGH:
            self.unfinished = True
            self.hold(one, "failed", f"not tried: other objects of kind {one.id.kind} failed")
            return
        self._ledger.begin(name)
        try:
            await faults.reach("apply.before")
            answer = await self._send(one)
            await faults.reach("apply.after")
        except PermanentError as error:
            self.refuse(one, str(error))
        except BaseException:
            self._doubt(name)
            raise
        else:
            await self._settle(one, answer)
        finally:
            self._ledger.abandon(name)

    async def _is_mine(self, one: Wanted) -> bool:
        name = str(one.id)
        if self._ledger.ignored(name):
            self.hold(one, "skipped", "it is annotated in the cluster to be ignored")
            return False
        owner = self._ledger.owner(name)
        if owner in {None, self._sync}:
            return True
        if await self._asking.gives(name, str(owner)):
            self._ledger.take(name, self._sync)
            return True
        self.refuse(one, f"is declared by the sync {owner} already, which keeps it")
        return False

    async def _send(self, one: Wanted) -> Answer | None:
        name, body, ledger = str(one.id), self._bundle.object(one.entry), self._ledger
        before = self._known.get(name)
        leave = leaves_replicas(one.id.kind, body)
        return await send(
            self._kube,
            one.path,
            body,
            first=before is None or not before.uid,
            leave=leave,
            scales=leave and ((before is not None and before.replicas) or ledger.scales(name)),
        )

    async def _settle(self, one: Wanted, answer: Answer | None) -> None:
        kind = one.id.group, one.id.kind
        if answer is None:
            self.results.append(
                _result(one, "skipped", "it is annotated in the cluster to be ignored")
            )
            return
        if answer.passing:
            self.unfinished = True
            self._troubles[kind] = self._troubles.get(kind, 0) + 1
            self._doubt(str(one.id))
            self.refuse(one, sentence(one.id.kind, answer.status, answer.reason, answer.body))
            await self._kube.alive()
            return
        self._troubles.pop(kind, None)
        if answer.ok and answer.metadata:
            self._note(one, answer.metadata, created=answer.status == 201)
            return
        if answer.ok:
            self._doubt(str(one.id))
        reason = sentence(one.id.kind, answer.status, answer.reason, answer.body)
        if answer.names_nothing:
            self.unserved = self.unfinished = True
        if is_final(answer.status, answer.reason):
            self.refused[str(one.id)] = one.entry.digest, reason
        self.refuse(one, reason)

    def _note(self, one: Wanted, metadata: Mapping[str, object], *, created: bool) -> None:
        name = str(one.id)
        before, fields = self._known.get(name), ours(metadata)
        version = number(metadata.get("resourceVersion"))
        late = self._ledger.end(name, self._sync, fields, version)
        self._asking.answered(name, version, late)
        self.applied[name] = Applied(
            digest=one.entry.digest,
            fields=fields,
            uid=str(metadata.get("uid", "")),
            created=created or (before.created if before else False),
            replicas=owns_replicas(metadata),
        )
        self.results.append(_result(one, "created" if created else "configured"))

    def _doubt(self, name: str) -> None:
        """Remember that what was sent may have been done, or not."""
        before = self._known.get(name)
        if before is not None:
            self.applied[name] = before.unsure

    async def _wait_established(self, one: Wanted) -> None:
        try:
            async with asyncio.timeout(ESTABLISHED):
                while not _established(await self._kube.get(one.path)):  # noqa: ASYNC110 - no event tells
                    await asyncio.sleep(0.03)
        except TimeoutError:
            logger.warning("definition not established", object=str(one.id))


def _result(one: Wanted, action: str, message: str = "") -> ObjectResult:
    entry = one.entry
    return ObjectResult(
        id=str(one.id), action=action, message=message, file=entry.file, line=entry.line
    )


def _established(answer: Answer) -> bool:
    conditions = (answer.body.get("status") or {}).get("conditions") or () if answer.ok else ()
    return any(
        one.get("type") == "Established" and one.get("status") == "True" for one in conditions
    )
