"""Says and asks on the bus with a deadline: it ends in an answer, or in an error with a name."""

import asyncio
from typing import TypeVar

from services.gateway.domain.errors import unavailable
from services.gateway.domain.view import View
from services.gateway.ports import Post
from shared.bus.port import NoAnswerError
from shared.contract import Draft, Question, Reply
from shared.runtime.errors import TemporaryError

R = TypeVar("R", bound=Reply)


class Asking:
    """The bus, for somebody who waits. Seconds: to confirm, to answer."""

    def __init__(self, post: Post, view: View, *, say: float = 5.0, answer: float = 20.0) -> None:
        self._post = post
        self._view = view
        self._say = say
        self.answer = answer

    async def say(self, *drafts: Draft) -> None:
        """
        Publish, confirmed.

        Raises:
            ApiError: 503, the broker did not take it.
        """
        try:
            async with asyncio.timeout(self._say):
                await self._post.publish(*drafts)
        except TimeoutError as error:
            raise unavailable(
                f"the broker did not confirm within {self._say:g} s; is RabbitMQ running?"
                " What was asked may still arrive."
            ) from error
        except TemporaryError as error:
            raise unavailable(str(error)) from error

    async def ask(self, question: Question, kind: type[R], timeout: float | None = None) -> R:
        """
        Return the answer.

        Who is known to be away is not asked: it would find all those questions when it is back.

        Raises:
            ApiError: 503, nobody answered; the sentence names who should have.
        """
        if question.receiver in self._view.absent:
            raise unavailable(f"no replica of {question.receiver} is running, which would answer")
        try:
            answer = await self._post.ask(question, timeout=timeout or self.answer)
        except (NoAnswerError, TemporaryError) as error:
            raise unavailable(str(error)) from error
        if not isinstance(answer, kind):
            raise unavailable(f"{question.receiver} answered {answer.type}; is it of our version?")
        return answer
