"""What the gateway needs from outside, in our words."""

from typing import Protocol

from shared.contract import Draft, Question, Reply


class Post(Protocol):
    """Says things on the bus."""

    async def publish(self, *drafts: Draft) -> None:
        """Publish, and return when all are confirmed."""

    async def ask(self, question: Question, *, timeout: float) -> Reply:
        """
        Return the answer.

        Raises:
            NoAnswerError: none came within *timeout* seconds.
        """
