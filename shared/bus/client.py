"""The bus that services get: the same for every broker, on top of its transport."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog

from shared.bus import grants, names
from shared.bus.entrance import Entrance
from shared.bus.letters import Letter, letters
from shared.bus.outages import Outages
from shared.bus.port import Handler, NoAnswerError, Pace, Window, Worker
from shared.bus.presence import announcements
from shared.bus.publisher import Publisher, packet
from shared.bus.settle import Settler
from shared.bus.transport import ChannelLostError, Packet, Record, Transport
from shared.bus.worker import PartitionWorker
from shared.contract import (
    Draft,
    Envelope,
    Message,
    Question,
    ReplicaPresent,
    Reply,
    partition,
)
from shared.contract.codec import MalformedError
from shared.contract.envelope import uuid7
from shared.contract.registry import ANSWERS
from shared.runtime.errors import TemporaryError
from shared.runtime.tasks import owned

logger = structlog.get_logger(__name__)


class Client:
    """Implements `shared.bus.port.Bus`."""

    def __init__(self, transport: Transport, source: str, *, prefetch: int, pace: Pace) -> None:
        self._pace = pace
        self._transport = transport
        self._publisher = Publisher(transport, source)
        self._outages = Outages(source.strip("/").partition("/")[0], self._publisher, pace)
        self._prefetch = prefetch
        self._workers: dict[str, PartitionWorker] = {}
        self._asked: dict[str, tuple[type[Reply], asyncio.Future[Reply]]] = {}
        """By correlation: what is an answer, and who waits for it."""
        self._hears = asyncio.Event()
        """Set once replies can reach us."""

    async def publish(self, *drafts: Draft) -> None:
        """Publish, and return when all are confirmed."""
        await self._publisher.publish(*drafts)

    async def down(self, error: TemporaryError) -> None:
        """Tell once that a dependency is gone."""
        await self._outages.down(error)

    async def up(self, dependency: str) -> None:
        """Tell once that it is back."""
        await self._outages.up(dependency)

    async def ask(self, question: Question, *, timeout: float) -> Reply:
        """Return the answer, or raise NoAnswerError after *timeout* seconds."""
        envelope = replace(
            Draft(message=question).sealed(self._publisher.source),
            deadline=datetime.now(UTC) + timedelta(seconds=timeout),
        )
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._asked[envelope.correlationid] = ANSWERS[type(question)], answer
        try:
            async with asyncio.timeout(timeout):
                await self._hears.wait()
                await self._publisher.send(
                    packet(
                        envelope,
                        key=names.routing_key(question),
                        reply_to=self._transport.address,
                    )
                )
                return await answer
        except TimeoutError as error:
            raise NoAnswerError(
                f"no answer to {question.type} about {question.subject} within {timeout:g} s;"
                f" is {question.receiver} running?"
            ) from error
        finally:
            del self._asked[envelope.correlationid]

    def worker(
        self,
        service: str,
        on_group: Handler,
        *,
        window: Window | None = None,
        parallel: int = 8,
    ) -> Worker:
        """Return the worker of the partitions of *service*."""
        settler = Settler(
            service,
            on_group,
            self._publisher,
            self._outages,
            self._pace,
            window=window,
            parallel=parallel,
        )
        worker = PartitionWorker(
            service,
            self._transport,
            self._publisher,
            settler,
            prefetch=max(self._prefetch, window.most if window else 0),
            beat=self._pace.beat,
        )
        self._workers[service] = worker
        return worker.run

    def replicas(self, service: str) -> AsyncGenerator[ReplicaPresent, None]:
        """Yield what the replicas of a stage say of themselves."""
        return announcements(self._transport, service)

    async def tick(self, signal: Draft) -> None:
        """Say a signal to our own stage: without the broker where this replica works on it."""
        worker = self._workers.get(signal.message.receiver or "")
        if worker is None or not worker.take(signal.sealed(self._publisher.source)):
            await self.publish(signal)

    def is_ours(self, message: Message) -> bool:
        """Tell whether *message*, were it for our own stage, would best come to this replica."""
        worker = self._workers.get(message.receiver or "")
        return worker is None or worker.presence.is_first_choice(partition(message.subject))

    @asynccontextmanager
    async def dead_letters(self) -> AsyncIterator[AsyncIterator[Letter]]:
        """Give the dead letters that there are, and hold them for the length of the block."""
        try:
            async with (
                self._transport.hold(names.DEAD) as held,
                aclosing(letters(held)) as found,
            ):
                yield found
        except ChannelLostError as error:
            raise TemporaryError("broker", str(error)) from error

    async def depth(self, queue: str) -> int:
        """Return how many messages wait in *queue*."""
        try:
            return await self._transport.depth(queue)
        except ChannelLostError as error:
            raise TemporaryError("broker", str(error)) from error

    async def replay(self, dead: Letter, *, by: str) -> None:
        """Give a dead letter to its own queue once more."""
        await dead.replay(self._publisher, by=by)

    async def append(self, key: str, records: Sequence[tuple[Mapping[str, str], bytes]]) -> None:
        """Append *records* in order: each is confirmed before the next is sent."""
        for headers, body in records:
            await self._transport.publish(
                Packet(
                    exchange=names.STATE,
                    key=key,
                    id=uuid7(),
                    headers=headers,
                    body=body,
                    content_type="application/octet-stream",
                    mandatory=True,
                    patient=True,
                    course=f"{names.STATE} {key}",
                )
            )

    def read(self, stream: str, offset: int | str = "first") -> AsyncGenerator[Record, None]:
        """Yield the records of *stream* from *offset*, for ever."""
        return self._transport.read(stream, offset)

    async def events(
        self, stream: str, offset: int | str = "first"
    ) -> AsyncGenerator[tuple[int, Envelope], None]:
        """Yield the messages of *stream*; what can't be parsed is skipped and counted."""
        entrance = Entrance(stream, self._transport)
        async with aclosing(self._transport.read(stream, offset)) as records:
            async for record in records:
                try:
                    yield record.offset, entrance.admit(record)
                except MalformedError as error:
                    logger.debug("record skipped", stream=stream, offset=record.offset, why=error)

    def problems(self) -> Mapping[str, str]:
        """Return what is wrong now, by name."""
        problems = dict(self._transport.problems())
        for key, reason in self._publisher.problems().items():
            problems[f"publish {key}"] = reason
        for worker in self._workers.values():
            problems |= worker.problems()
        return problems

    def away(self) -> Mapping[str, str]:
        """Return the dependencies that are down, and why."""
        return self._outages.away()

    async def answers(self) -> None:
        """Hand replies to those who asked, for ever."""
        binding = names.reply_binding(self._transport.address)
        entrance = Entrance(names.REPLIES, self._transport)
        listening = self._transport.listen(names.REPLIES, binding, self._hears)
        async with aclosing(listening) as replies:
            async for delivery in replies:
                try:
                    envelope = entrance.admit(delivery)
                except MalformedError as error:
                    logger.warning("reply skipped", why=str(error))
                    continue
                self._answered(envelope)

    def _answered(self, envelope: Envelope) -> None:
        """Hand a reply to who asked; one that does not answer the question is nobody's."""
        if envelope.correlationid not in self._asked:
            return
        wanted, waiting = self._asked[envelope.correlationid]
        if isinstance(envelope.message, wanted) and not waiting.done():
            waiting.set_result(envelope.message)


@asynccontextmanager
async def client(
    transport: Transport, source: str, *, prefetch: int, pace: Pace
) -> AsyncIterator[Client]:
    """Open the bus of one process on a connected *transport*."""
    bus = Client(transport, source, prefetch=prefetch, pace=pace)
    async with AsyncExitStack() as stack:
        if grants.asks(grants.speaker(source)):
            await stack.enter_async_context(owned(bus.answers(), "replies"))
        yield bus
