"""
A scan: list the tags once for all that asked, choose for every container, say what was found.

Said again at every scan for as long as it holds. What could not be read whole chooses nothing: an
older image must never come of a list that was cut short.
"""

import asyncio
import time
from collections.abc import Sequence

import structlog
from prometheus_client import Counter, Histogram

from services.registry_scanner.domain.causes import Cause, Causes
from services.registry_scanner.domain.found import found, needing_created
from services.registry_scanner.domain.wanted import Wanted
from services.registry_scanner.ports import Registries, UnreadableError
from shared.bus.port import Bus, Outcome
from shared.contract import (
    Draft,
    Envelope,
    ImagesFound,
    ScanCompleted,
    ScanFailed,
    ScanRequested,
    Tag,
    TagsListed,
    TagsQuestion,
)
from shared.images import Candidate
from shared.runtime.errors import TemporaryError

logger = structlog.get_logger(__name__)

SCANS = Counter("flux_registry_scanner_scans_total", "Image repositories read", ["outcome"])
SECONDS = Histogram("flux_registry_scanner_scan_seconds", "Time to read an image repository")


async def on_group(
    image: str,
    messages: Sequence[Envelope],
    *,
    wanted: Wanted,
    registries: Registries,
    bus: Bus,
    causes: Causes,
) -> Outcome:
    """Read *image* once and say what its tags mean to all who use it."""
    asked = [one for one in messages if _reason(one) not in {"", "tick"}]
    first = (asked or messages)[0]
    with causes.scan(first.correlationid) as cause:
        return await _scan(
            image, messages, first, cause, wanted=wanted, registries=registries, bus=bus
        )


async def _scan(
    image: str,
    messages: Sequence[Envelope],
    first: Envelope,
    cause: Cause,
    *,
    wanted: Wanted,
    registries: Registries,
    bus: Bus,
) -> Outcome:
    scans = [one for one in messages if isinstance(one.message, ScanRequested)]
    questions = [one for one in messages if isinstance(one.message, TagsQuestion)]
    uses = wanted.of(image)
    if not questions and not uses:
        return Outcome()  # nobody automates it any more: it is not read
    begin, requests = time.monotonic(), registries.requests(image)
    try:
        candidates = await _read(image, wanted, questions, registries)
    except TemporaryError as error:
        SCANS.labels("put off").inc()
        await bus.publish(*_answers(questions, TagsListed(image=image, error=str(error))))
        raise
    except UnreadableError as error:
        failed = _unreadable(image, scans, questions, error)
        return Outcome(events=(*_said(cause, [], first), *failed))
    # In a thread: ten thousand tags under many policies would hold up every other scan.
    updates = await asyncio.to_thread(found, candidates, uses) if scans else []
    completed = ScanCompleted(
        image=image,
        tags=len(candidates),
        seconds=time.monotonic() - begin,
        requests=registries.requests(image) - requests,
        found=len(updates),
    )
    SCANS.labels("completed").inc()
    SECONDS.observe(completed.seconds)
    return Outcome(
        events=(
            *_said(cause, updates, first),
            Draft(message=completed, cause=first),
            *_answers(questions, _listed(image, candidates)),
        )
    )


def _said(cause: Cause, updates: Sequence[ImagesFound], first: Envelope) -> list[Draft]:
    return [Draft(message=update, cause=first) for update in cause.told(updates)]


async def _read(
    image: str, wanted: Wanted, questions: Sequence[Envelope], registries: Registries
) -> Sequence[Candidate]:
    tags = await registries.tags(image)
    asked = any(getattr(one.message, "created", False) for one in questions)
    needed = await asyncio.to_thread(needing_created, tags, wanted.of(image))
    created = frozenset(tags) if asked else needed
    return await registries.candidates(image, tags, created)


def _unreadable(
    image: str, scans: Sequence[Envelope], questions: Sequence[Envelope], error: UnreadableError
) -> list[Draft]:
    SCANS.labels("failed").inc()
    failed = ScanFailed(image=image, reason=str(error))
    return [
        *(Draft(message=failed, cause=one) for one in scans[:1]),
        *_answers(questions, TagsListed(image=image, error=str(error))),
    ]


def _answers(questions: Sequence[Envelope], answer: TagsListed) -> list[Draft]:
    return [Draft(message=answer, cause=question) for question in questions]


def _listed(image: str, candidates: Sequence[Candidate]) -> TagsListed:
    return TagsListed(
        image=image,
        tags=tuple(Tag(name=one.tag, created=one.created, digest=one.digest) for one in candidates),
    )


def _reason(envelope: Envelope) -> str:
    message = envelope.message
    return message.reason if isinstance(message, ScanRequested) else ""
