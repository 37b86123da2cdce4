"""
The bus as services see it: what they may ask of it, and what they give it.

A service hands over one handler for each stage, which gets all that waits for one subject, in
order, and returns what came of it. The bus owns acknowledgement, confirms, tries, folding and
deadlines. `rabbit` implements it on RabbitMQ, `memory` for tests; one contract suite holds both.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from shared.bus.letters import Letter
from shared.bus.transport import Record
from shared.contract import Command, Draft, Envelope, Message, Question, ReplicaPresent, Reply
from shared.runtime.errors import FluxError, PermanentError, TemporaryError


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """
    What a handler made of a group.

    *events* are published, and confirmed, before anything of the group is acknowledged. A *Reply*
    among them goes to who asked the question that is its cause. An order that is neither in
    *failed* nor answered by an `order.*` event of its own is told as completed.
    """

    events: tuple[Draft, ...] = ()
    failed: Mapping[str, PermanentError] = field(default_factory=dict)
    """By the id of the message: what is wrong with it. Orders end rejected, others dead."""


Handler = Callable[[str, Sequence[Envelope]], Awaitable[Outcome]]
"""`on_group(subject, messages)`; raises TemporaryError where a dependency is down: the bus tells
that once (see `down`), keeps the group and tries it again with back-off, and tells when the
dependency is back. What came meanwhile joins the group."""

Worker = Callable[[asyncio.Event], Awaitable[None]]
"""Runs until the event is set, then finishes what it holds and returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """How long to gather for one subject before its group is handed over; seconds."""

    quiet: float = 0.0
    """Closes when nothing came for so long."""
    max_wait: float = 0.0
    """Closes at most so long after the first message."""
    at_once: tuple[type[Command], ...] = ()
    """A message of these types closes it immediately: somebody waits."""
    aside: tuple[type[Message], ...] = ()
    """Messages of these types are gathered, but neither open it nor keep it open."""
    longer: Callable[[Sequence[Envelope]], float] = lambda _: 0.0
    """Says of what was gathered how long it must be quiet at least: more may be on its way."""
    soon: Callable[[Sequence[Envelope]], float] = lambda _: 0.0
    """Says of what was gathered how soon after the end of the group before it is of one burst with
    that one."""
    first: int = 0
    """Groups of a burst that do not wait: a single one is not held up."""
    most: int = 0
    """Messages that each partition takes to gather them, where that is more than others take: the
    broker gives no more before these are worked off, so a larger group is cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patient a worker is; seconds."""

    tries: tuple[float, ...] = (0.0, 1.0, 5.0)
    """Before each try of a message that meets a bug."""
    first_delay: float = 0.5
    """Before a dependency that was down is tried again; twice as long each time ..."""
    longest_delay: float = 30.0
    """... and at most so long."""
    soonest: float = 1.0
    """Before a newcomer is a reason to try it again."""
    beat: float = 2.0
    """Between two announcements to the other replicas."""


class NoAnswerError(FluxError):
    """Nobody answered a question before its deadline."""


class Bus(Protocol):
    """The bus; open it with `rabbit.connect` or `memory.MemoryBroker().connect`."""

    async def publish(self, *drafts: Draft) -> None:
        """
        Publish, and return when the broker has confirmed all.

        Repeats with the same ids across a lost connection, until cancelled. Order is kept.
        """

    async def ask(self, question: Question, *, timeout: float) -> Reply:
        """
        Return the answer to *question*.

        Raises:
            NoAnswerError: none came within *timeout* seconds.
        """

    def worker(
        self,
        service: str,
        on_group: Handler,
        *,
        window: Window | None = None,
        parallel: int = 8,
    ) -> Worker:
        """
        Return the worker of the partitions of *service*.

        At most *parallel* subjects are worked on at a time, each of them serially.
        """

    def replicas(self, service: str) -> AsyncGenerator[ReplicaPresent, None]:
        """Yield what the replicas of the stage *service* say of themselves, again and again."""

    async def tick(self, signal: Draft) -> None:
        """
        Say *signal* to our own stage, which costs the broker nothing where this replica has it.

        It is lost with the process, and said by whoever has its partition then, at once. It is
        lost with the channel, too, and said again after its interval.
        """

    def is_ours(self, message: Message) -> bool:
        """Tell whether this replica is the first choice for *message*; for whom it ticks."""

    def dead_letters(self) -> AbstractAsyncContextManager[AsyncIterator[Letter]]:
        """
        Give the dead letters that there are now, the oldest first; what is left goes back.

        They are held for the length of the block, and seen by nobody else meanwhile.

        Raises:
            TemporaryError: the broker is away.
        """

    async def depth(self, queue: str) -> int:
        """
        Return how many messages wait in *queue*, without those that somebody holds.

        Raises:
            TemporaryError: the broker is away, or the queue.
        """

    async def replay(self, dead: Letter, *, by: str) -> None:
        """
        Give a dead letter to its own queue once more; *by* says who wants that.

        Raises:
            UnroutableError: there is no such queue.
        """

    async def append(self, key: str, records: Sequence[tuple[Mapping[str, str], bytes]]) -> None:
        """Append *records*, in order and confirmed, to the state stream bound to *key*."""

    def read(self, stream: str, offset: int | str = "first") -> AsyncGenerator[Record, None]:
        """
        Yield the records of *stream* from *offset* (a number, `first` or `last`), then live.

        Never ends by itself: close it (`contextlib.aclosing`) when done. After a lost connection
        it goes on behind the last record that it gave.
        """

    def events(
        self, stream: str, offset: int | str = "first"
    ) -> AsyncGenerator[tuple[int, Envelope], None]:
        """Yield what `read` yields as envelopes; what can't be parsed is skipped and counted."""

    async def down(self, error: TemporaryError) -> None:
        """Tell once, in the log, by `dependency.down` and `/readyz`, that a dependency is gone."""

    async def up(self, dependency: str) -> None:
        """Tell once that it is back; nothing happens where it was not known to be gone."""

    def problems(self) -> Mapping[str, str]:
        """Return what keeps us from our work now, by name; empty when all is well."""

    def away(self) -> Mapping[str, str]:
        """Return the dependencies that are down, and why: others are worked on meanwhile."""
