"""Asks the registry-scanner which tags there are."""

import asyncio
from collections.abc import Mapping

import structlog

from shared.bus.port import Bus, NoAnswerError
from shared.contract import TagsListed, TagsQuestion
from shared.images import Candidate
from shared.runtime.errors import TemporaryError
from shared.runtime.tasks import first_error

logger = structlog.get_logger(__name__)

DEADLINE = 20.0
"""Seconds for an answer; without one the order waits, as for every dependency that is down."""


class ScannerRegistry:
    """Implements `ports.Registry` by questions on the bus."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def tags(self, images: Mapping[str, bool]) -> Mapping[str, tuple[Candidate, ...]]:
        """Ask for all *images* at once; what can't be read is left out."""
        with first_error():
            async with asyncio.TaskGroup() as group:
                asked = {
                    image: group.create_task(
                        self._ask(TagsQuestion(image=image, created=created)),
                        name=f"tags of {image}",
                    )
                    for image, created in sorted(images.items())
                }
        return {image: found for image, task in asked.items() if (found := task.result())}

    async def _ask(self, question: TagsQuestion) -> tuple[Candidate, ...] | None:
        try:
            reply = await self._bus.ask(question, timeout=DEADLINE)
        except NoAnswerError as error:
            raise TemporaryError("registry-scanner", str(error)) from error
        if not isinstance(reply, TagsListed) or reply.error:
            logger.warning(
                "no tags", image=question.image, reason=getattr(reply, "error", reply.type)
            )
            return None
        return tuple(
            Candidate(tag=tag.name, created=tag.created, digest=tag.digest) for tag in reply.tags
        )
