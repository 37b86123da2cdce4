"""
Deletes what a sync applied and declares no more, the last stage first.

Nothing is deleted on memory alone: each object is looked at just before, and goes only as it was
seen then. Whoever wrote to it since is asked about anew.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog

from services.cluster_applier.answers import Answer
from services.cluster_applier.contents import Contents
from services.cluster_applier.discovery import Discovery
from services.cluster_applier.domain.inventory import Applied
from services.cluster_applier.domain.ledger import Ledger
from services.cluster_applier.domain.pruning import (
    WHOLE,
    WHOLE_VALUE,
    Fate,
    Judgement,
    Proof,
    held,
    is_flux_own,
    judged,
)
from services.cluster_applier.domain.refusal import sentence, webhook
from services.cluster_applier.domain.selection import Labels, Selected, labels_of
from services.cluster_applier.domain.stages import staged
from services.cluster_applier.gone import Gone
from services.cluster_applier.kube import METADATA, METADATA_LIST, Kube
from services.cluster_applier.pace import pace
from services.cluster_applier.sending import patient
from services.cluster_applier.turns import Hung, Turns
from services.cluster_applier.webhooks import Webhooks
from shared.contract import ObjectResult
from shared.manifests import ObjectId
from shared.runtime import faults

logger = structlog.get_logger(__name__)

MANY = 8
"""From so many of a kind in a namespace on they are looked at by a list."""
LOOKS = 5
"""So often an object is looked at anew because somebody wrote to it since."""


class Pruning:
    """One round of deletions of one sync."""

    def __init__(
        self,
        kube: Kube,
        discovery: Discovery,
        ledger: Ledger,
        *,
        at_once: int,
        namespace: str,
        dry_run: bool = False,
        webhooks: Webhooks,
        hung: Hung | None = None,
    ) -> None:
        self.results: list[ObjectResult] = []
        self.kept: list[ObjectResult] = []
        """Told where there is anything else to tell: they are the same each time."""
        self.forgotten: set[str] = set()
        """What leaves the inventory."""
        self.unfinished = False
        self._kube = kube
        self._discovery = discovery
        self._ledger = ledger
        self._at_once = at_once
        self._namespace = namespace
        self._dry_run = dry_run
        self._proof = Proof()
        self._there: dict[str, Mapping[str, Any]] = {}
        self._listed: set[str] = set()
        self._doubted: set[str] = set()
        """Paths of what was written to since it was listed."""
        self._contents = Contents(kube, discovery)
        self._webhooks = webhooks
        self.turns = Turns[Gone](hung)

    def give(self, moved: Mapping[str, str]) -> None:
        """Let go of objects that other syncs declare now."""
        for name, sync in moved.items():
            if self._ledger.owner(name) != sync:
                self._ledger.release(name)
            self.forgotten.add(name)
            why = f"the sync {sync} declares it now, and keeps it as it is"
            self.results.append(ObjectResult(id=name, action="skipped", message=why))

    def rename(self, renamed: Mapping[str, str]) -> None:
        """Let go of ids of objects that the sync declares by other ones now."""
        for name, now in renamed.items():
            self._forget(name, "skipped", f"it is the same object as {now}")

    async def delete(
        self, gone: Iterable[tuple[str, Applied]], *, mark_set: str = "", confirmed: bool = False
    ) -> None:
        """
        Delete these objects, in the reverse of the stages.

        *mark_set*: what our marks are made with; *confirmed*: a person wants it.
        """
        self._proof = Proof(mark_set=mark_set, confirmed=confirmed)
        found = [await self._found(name, applied) for name, applied in gone]
        for _, some in reversed(staged((one.id, one) for one in found)):
            await self._look(some)
            async with pace(self._at_once, name="prune") as slots:
                ordered = sorted(some, key=lambda one: self.turns.order(one.id))
                await slots.each(ordered, self._in_turn, more=self.turns.due)

    async def _found(self, name: str, applied: Applied) -> Gone:
        named = ObjectId.parse(name)
        resource = await self._discovery.preferred(named.group, named.kind)
        return Gone(id=named, applied=applied, resource=resource)

    async def _look(self, some: Sequence[Gone]) -> None:
        """Where many of one collection are to go, read it as a whole."""
        for collection, count in Counter(one.collection for one in some).items():
            if collection and count >= MANY:
                await self._list(collection)

    async def _list(self, collection: str) -> None:
        found: dict[str, Mapping[str, Any]] = {}
        token = ""
        while True:
            params = {"limit": "500", **({"continue": token} if token else {})}
            answer = await self._kube.look(collection, accept=METADATA_LIST, **params)
            if not answer.ok or not isinstance(answer.body, Mapping):
                return  # each is looked at by itself then
            for item in answer.body.get("items") or ():
                found[f"{collection}/{item['metadata']['name']}"] = item["metadata"]
            token = str(answer.metadata.get("continue") or "")
            if not token:
                break
        self._there |= found
        self._listed.add(collection)

    async def _in_turn(self, gone: Gone) -> None:
        lane = await self.turns.lane(gone.id, gone, self._selects)
        if reason := self.turns.reason_to_hold(lane):
            self._fail(gone, reason, passing=True)
        elif not self.turns.put_aside(lane, gone):
            with self.turns.taken(lane, gone.id):
                await self._one(gone)

    async def _selects(self, webhook: str, gone: Gone) -> Selected:
        async def labels() -> Labels:
            there = await self._metadata(gone)
            return labels_of(there.metadata if isinstance(there, Answer) else there)

        if not gone.path:
            return Selected(yes=False)  # it is not deleted
        return await self._webhooks.selects(webhook, gone.path, {"DELETE"}, labels)

    async def _one(self, gone: Gone) -> None:
        if is_flux_own(gone.id, self._namespace):
            self._keep(gone, "Flux keeps its own inventories there")
            return
        if gone.resource is None:
            kind = f"{gone.id.group or 'core'} {gone.id.kind}"
            self._keep(gone, f"the cluster serves no {kind} now; deleted when it does")
            return
        for _ in range(LOOKS):
            metadata = await self._metadata(gone)
            if isinstance(metadata, Answer):
                self._fail(gone, metadata.reason, passing=metadata.transient)
                return
            if await self._settled(gone, judged(gone.id, metadata, gone.applied, self._proof)):
                return
        self._fail(gone, "somebody writes to it all the time; tried again soon", passing=True)

    async def _metadata(self, gone: Gone) -> Mapping[str, Any] | Answer | None:
        """Return what an object is now, None where it is gone, or why that can't be told."""
        if gone.collection in self._listed and gone.path not in self._doubted:
            return self._there.get(gone.path)
        answer = await patient(self._kube, lambda: self._kube.look(gone.path, accept=METADATA))
        if answer.status == 404:
            return None
        return answer.metadata if answer.ok else answer

    async def _settled(self, gone: Gone, judgement: Judgement) -> bool:
        """Do what was judged; return False where it must be judged anew."""
        match judgement.fate:
            case Fate.KEEP:
                self._keep(gone, judgement.why)
            case Fate.FORGET if gone.applied.uid or judgement.why:
                action = "skipped" if judgement.why else "deleted"
                self._forget(str(gone.id), action, judgement.why)
            case Fate.FORGET:  # it was about to be applied, and never was
                self._ledger.release(str(gone.id))
                self.forgotten.add(str(gone.id))
            case Fate.DELETE if why := await self._reason_of_contents(gone, judgement):
                self._keep(gone, why)
            case Fate.DELETE if self._dry_run:
                self._keep(gone, "would be deleted; prune_dry_run is on")
            case Fate.DELETE:
                return await self._delete(gone, judgement)
        return True

    async def _reason_of_contents(self, gone: Gone, judgement: Judgement) -> str:
        foreign = "" if judgement.whole else await self._contents.foreign(gone.id)
        remedy = f"annotate it with {WHOLE}: {WHOLE_VALUE} to delete it with all that is in it"
        return f"it holds what this sync did not apply: {foreign}; {remedy}" if foreign else ""

    async def _delete(self, gone: Gone, judgement: Judgement) -> bool:
        """Delete an object as it was judged; return False where it is another one by now."""
        name = str(gone.id)
        known = self._ledger.fields(name)
        self._ledger.release(name)  # its end is no drift
        await faults.reach("delete.before")
        asked = {"uid": judgement.uid, "version": judgement.version}
        answer = await patient(self._kube, lambda: self._kube.delete(gone.path, **asked))
        await faults.reach("delete.after")
        if answer.passing:
            self.turns.failed(gone.id, webhook(answer.reason))
        else:
            self.turns.answered(gone.id)
        if answer.ok or answer.status == 404:
            self._forget(name, "deleted", held(answer.metadata))
            return True
        self._ledger.restore(name, known)
        if answer.status == 409:
            self._doubted.add(gone.path)
            return False
        said, secret = answer.reason, gone.id.is_secret or gone.applied.encrypted
        said = sentence(answer.status, said, answer.body, named=gone.id, secret=secret)
        self._fail(gone, said, passing=answer.transient)
        return True

    def _forget(self, name: str, action: str, why: str = "") -> None:
        self._ledger.release(name)
        self.forgotten.add(name)
        self.results.append(ObjectResult(id=name, action=action, message=why))

    def _keep(self, gone: Gone, why: str) -> None:
        logger.debug("not deleted", object=str(gone.id), reason=why)
        self.kept.append(ObjectResult(id=str(gone.id), action="skipped", message=why))

    def _fail(self, gone: Gone, why: str, *, passing: bool) -> None:
        logger.error("object not deleted", object=str(gone.id), reason=why)
        self.unfinished = self.unfinished or passing
        self.results.append(
            ObjectResult(id=str(gone.id), action="failed", message=f"not deleted: {why}")
        )
