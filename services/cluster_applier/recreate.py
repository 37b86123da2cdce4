"""
Deletes an object and creates it anew, where an update is refused and the object asks for that.

Nothing is deleted before a dry run has shown that the new one would be taken: then it is only the
change that the API server refuses.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from services.cluster_applier.answers import Answer
from services.cluster_applier.domain.ledger import ignored
from services.cluster_applier.domain.manner import beside
from services.cluster_applier.domain.ownership import ours
from services.cluster_applier.kube import METADATA, Kube
from services.cluster_applier.sending import IGNORED, Sent, patient

GONE = 20.0
"""Seconds for which the end of the old object is waited for."""
LOOKS = 0.1
TRIES = 5
_STILL_THERE = Answer(
    status=503,
    body={"message": "it is being deleted, and created anew once its finalizers are done"},
)


async def recreate(
    kube: Kube,
    path: str,
    body: bytes,
    refused: Answer,
    *,
    uid: str,
    why: Callable[[Answer], str],
    tries: int = TRIES,
) -> Sent:
    """
    Put *body* in the place of what is at *path*, which can't be changed into it.

    *uid* is that of what we applied, *why* tells a refusal. Where it can't be done the answer is
    what was *refused*. Whatever somebody writes to between look and deletion is looked at anew,
    *tries* times in all.
    """
    there = await patient(kube, lambda: kube.look(path, accept=METADATA))
    if kept := _reason_to_leave(there, refused, uid):
        return kept
    tried = await _tried(kube.rehearsal(), path, body)
    if tried.status != 201 or kube.rehearsing:
        return _foretold(tried, refused, why)
    gone = await _deleted(kube, path, there.metadata)
    if gone.status == 409 and tries > 1:
        left = tries - 1
        return await recreate(kube, path, body, refused, uid=uid, why=why, tries=left)
    if not gone.ok and gone.status != 404:
        return Sent(answer=gone)
    if not await _is_gone(kube, path, str(there.metadata.get("uid", ""))):
        return Sent(answer=_STILL_THERE)
    answer = await patient(kube, lambda: kube.apply(path, body, force=False))
    return Sent(answer=answer, said="deleted and created anew: what changed can't be changed")


def _foretold(tried: Answer, refused: Answer, why: Callable[[Answer], str]) -> Sent:
    if tried.status == 201:
        return Sent(answer=tried, said="it would be deleted and created anew")
    return Sent(answer=refused, said=f"one made anew would be refused, too: {why(tried)}")


def _reason_to_leave(there: Answer, refused: Answer, uid: str) -> Sent | None:
    if ignored(there.metadata):
        return Sent(answer=None, said=IGNORED)
    found = str(there.metadata.get("uid", ""))
    if not there.ok or not (found == uid or ours(there.metadata)):
        return Sent(answer=refused, said="not created anew, since it is not ours")
    return None


async def _deleted(kube: Kube, path: str, metadata: Mapping[str, Any]) -> Answer:
    """Delete what was looked at, as it was then, unless that is under way."""
    if metadata.get("deletionTimestamp"):
        return Answer(status=200, body=None)
    uid, version = str(metadata.get("uid", "")), str(metadata.get("resourceVersion", ""))
    return await patient(kube, lambda: kube.delete(path, uid=uid, version=version))


async def _tried(kube: Kube, path: str, body: bytes) -> Answer:
    """Return what would come of an object of another name that is created like that, beside it."""
    there = await patient(kube, lambda: kube.look(path))
    value = beside(json.loads(body), there.body if isinstance(there.body, Mapping) else {})
    collection, name = path.rpartition("/")[0], str(value["metadata"]["name"])
    other = f"{name[:40].rstrip('-.')}-{sha256(name.encode()).hexdigest()[:8]}"
    value["metadata"] = {**value["metadata"], "name": other}
    tried = json.dumps(value).encode()
    where = f"{collection}/{quote(other)}"
    answer = await patient(kube, lambda: kube.apply(where, tried, force=False))
    if answer.ok and answer.metadata:
        answer.body["metadata"]["name"] = name
    return answer


async def _is_gone(kube: Kube, path: str, uid: str) -> bool:
    try:
        async with asyncio.timeout(GONE):
            while True:
                there = await kube.look(path, accept=METADATA)
                if there.status == 404 or (there.ok and there.metadata.get("uid") != uid):
                    return True
                await asyncio.sleep(LOOKS)
    except TimeoutError:
        return False
