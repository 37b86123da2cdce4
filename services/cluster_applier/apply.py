"""Applies and deletes objects, stage by stage, several at a time; each ends with a result."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

import structlog

from services.cluster_applier.domain.drift import Drift
from services.cluster_applier.domain.inventory import Applied
from services.cluster_applier.domain.ledger import Ledger, number
from services.cluster_applier.domain.ownership import ours
from services.cluster_applier.domain.plan import Wanted
from services.cluster_applier.domain.stages import DEFINITIONS, staged
from services.cluster_applier.kube import Answer, Kube
from shared.bundle.format import Bundle
from shared.contract import ObjectResult
from shared.runtime.tasks import each

logger = structlog.get_logger(__name__)

ESTABLISHED = 10.0
"""Seconds that a new definition may take until its objects are served."""

OnAnswer = Callable[[str, int, Drift | None], None]
"""Told object id, version and, if there was, drift that came while it was being applied."""


class Applying:
    """One round of changes of one sync."""

    def __init__(
        self, sync: str, kube: Kube, ledger: Ledger, *, concurrency: int, answered: OnAnswer
    ) -> None:
        self.results: list[ObjectResult] = []
        self.applied: dict[str, Applied] = {}
        self.deleted: set[str] = set()
        self._sync = sync
        self._kube = kube
        self._ledger = ledger
        self._concurrency = concurrency
        self._answered = answered

    @property
    def failed(self) -> bool:
        """Whether any object could not be changed."""
        return any(result.action == "failed" for result in self.results)

    async def apply(
        self, wanted: Iterable[Wanted], bundle: Bundle, known: dict[str, Applied]
    ) -> None:
        """Apply *wanted* in stages; a stage begins when the one before is done."""
        for step, some in staged((one.id, one) for one in wanted):
            # In the order of the bundle, so that each of its chunks is opened once.
            ordered = sorted(some, key=lambda one: (one.entry.chunk, one.entry.offset))
            await self._each(ordered, lambda one: self._one(one, bundle, known))
            if step == DEFINITIONS:
                await self._each(ordered, self._wait_established)

    async def delete(self, name: str, path: str, known: Applied) -> None:
        """Delete an object, if it is still the one that we applied."""
        self._ledger.release(name)
        answer = await self._kube.delete(path, uid=known.uid)
        if answer.ok or answer.status in {404, 409}:
            self.deleted.add(name)
        # 409: somebody made it anew since, so what is there is not ours to delete.
        action = "deleted" if answer.ok else "skipped" if answer.status in {404, 409} else "failed"
        message = "" if answer.ok else answer.reason
        self.results.append(ObjectResult(id=name, action=action, message=message))

    def refuse_unknown(self, unknown: Iterable[Wanted]) -> None:
        """Note objects whose kind the cluster does not serve."""
        for one in unknown:
            kind = f"{one.id.group or 'core'}/{one.entry.version} {one.id.kind}"
            self.refuse(one, f"the cluster serves no {kind}; tried again when it is defined")

    async def _one(self, one: Wanted, bundle: Bundle, known: dict[str, Applied]) -> None:
        name = str(one.id)
        owner = self._ledger.owner(name)
        if owner not in {None, self._sync}:
            self.refuse(one, f"is declared by the sync {owner} already, which keeps it")
            return
        self._ledger.begin(name)
        try:
            answer = await self._kube.apply(one.path, bundle.object(one.entry))
        except BaseException:
            self._ledger.abandon(name)
            raise
        if not answer.ok:
            self._ledger.abandon(name)
            self.refuse(one, answer.reason)
            return
        self._note(one, answer, known.get(name))

    def _note(self, one: Wanted, answer: Answer, before: Applied | None) -> None:
        name, metadata = str(one.id), answer.body["metadata"]
        fields, created = ours(metadata), answer.status == 201
        version = number(metadata.get("resourceVersion"))
        late = self._ledger.end(name, self._sync, fields, version)
        self._answered(name, version, late)
        self.applied[name] = Applied(
            digest=one.entry.digest,
            fields=fields,
            uid=metadata.get("uid", ""),
            created=created or (before.created if before else False),
        )
        action = "created" if created else "configured"
        entry = one.entry
        self.results.append(ObjectResult(id=name, action=action, file=entry.file, line=entry.line))

    def refuse(self, one: Wanted, reason: str) -> None:
        """Note that an object could not be applied."""
        entry = one.entry
        logger.error(
            "object not applied",
            object=str(one.id),
            file=entry.file,
            line=entry.line,
            reason=reason,
        )
        self.results.append(
            ObjectResult(
                id=str(one.id), action="failed", message=reason, file=entry.file, line=entry.line
            )
        )

    async def _wait_established(self, one: Wanted) -> None:
        try:
            async with asyncio.timeout(ESTABLISHED):
                while not _established(await self._kube.get(one.path)):  # noqa: ASYNC110 - no event tells
                    await asyncio.sleep(0.03)
        except TimeoutError:
            logger.warning("definition not established", object=str(one.id))

    async def _each(
        self, items: Sequence[Wanted], work: Callable[[Wanted], Awaitable[None]]
    ) -> None:
        await each(items, work, at_once=self._concurrency, name=f"apply {self._sync}")


def _established(answer: Answer) -> bool:
    conditions = (answer.body.get("status") or {}).get("conditions") or () if answer.ok else ()
    return any(
        one.get("type") == "Established" and one.get("status") == "True" for one in conditions
    )
