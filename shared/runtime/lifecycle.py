"""Starting and stopping: signals set an event, workers finish what they hold, then all ends."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import structlog

logger = structlog.get_logger(__name__)

Worker = Callable[[asyncio.Event], Awaitable[None]]
"""Runs until the event is set, then finishes what it holds and returns."""


class EarlyExitError(Exception):
    """A worker returned although nobody asked it to stop."""


@contextmanager
def stop_on_signals() -> Iterator[asyncio.Event]:
    """Yield an event that SIGTERM and SIGINT set; nothing else happens in the signal handler."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def supervise(workers: Mapping[str, Worker], *, stop: asyncio.Event, grace: float) -> None:
    """
    Run *workers* until *stop* is set; then give them *grace* seconds.

    If one crashes, the others are cancelled and the crash propagates: an orchestrator restarts us
    with a clean state.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_until_stopped(name, worker, stop), name=name)
            for name, worker in workers.items()
        ]
        await stop.wait()
        logger.info("stopping", grace_seconds=grace)
        await _end(tasks, grace)


async def _end(tasks: list[asyncio.Task[None]], grace: float) -> None:
    running = [task for task in tasks if not task.done()]
    if not running:
        return
    _, late = await asyncio.wait(running, timeout=grace)
    for task in late:
        logger.warning("cancelling a late worker", worker=task.get_name())
        task.cancel()


async def _until_stopped(name: str, worker: Worker, stop: asyncio.Event) -> None:
    await worker(stop)
    if not stop.is_set():
        raise EarlyExitError(f"the worker {name!r} ended by itself")


@asynccontextmanager
async def unless_stopped(stop: asyncio.Event) -> AsyncIterator[None]:
    """
    Give up what the block waits for as soon as *stop* is set.

    For what may take for ever and leaves nothing behind. Nothing is raised then; look at *stop*.
    What the block raises by itself comes in an ExceptionGroup.
    """
    loop = asyncio.get_running_loop()
    scope = asyncio.timeout(None)
    inside = False

    def give_up(_: asyncio.Task[bool]) -> None:
        if inside:
            scope.reschedule(loop.time())

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(stop.wait(), name="wait for the stop")
        waiting.add_done_callback(give_up)
        try:
            async with scope:
                inside = True
                try:
                    yield
                finally:
                    inside = False
        except TimeoutError:
            if not scope.expired():
                raise
        finally:
            waiting.cancel()
