"""Waits until new definitions are established, so that their objects can be applied at once."""

import asyncio

import structlog

from services.cluster_applier.answers import Answer
from services.cluster_applier.domain.plan import Wanted
from services.cluster_applier.kube import Kube

logger = structlog.get_logger(__name__)

ESTABLISHED = 10.0
"""Seconds that a new definition may take until its objects are served."""


async def wait_established(kube: Kube, one: Wanted) -> None:
    """Wait until a definition serves its kind; for one that never does, not for ever."""
    try:
        async with asyncio.timeout(ESTABLISHED):
            while not _established(await kube.get(one.path)):  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.03)
    except TimeoutError:
        logger.warning("definition not established", object=str(one.id))


def _established(answer: Answer) -> bool:
    conditions = (answer.body.get("status") or {}).get("conditions") or () if answer.ok else ()
    return any(
        one.get("type") == "Established" and one.get("status") == "True" for one in conditions
    )
