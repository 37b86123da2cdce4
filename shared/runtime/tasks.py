"""Tasks with an owner: beside a block, or several at a time. Errors come out as they are."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def owned(work: Coroutine[None, None, None], name: str) -> AsyncIterator[None]:
    """Run *work* beside the block; whichever fails first ends both and is raised as it is."""
    with first_error():
        async with asyncio.TaskGroup() as group:
            task = group.create_task(work, name=name)
            try:
                yield
            finally:
                task.cancel()


async def each(
    items: Iterable[T], work: Callable[[T], Awaitable[None]], *, at_once: int, name: str
) -> None:
    """Do *work* for all *items*, so many at once; the first error ends the rest and is raised."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    with first_error():
        async with asyncio.TaskGroup() as group:
            for number in range(at_once):
                group.create_task(worker(), name=f"{name} {number}")


async def to_its_end(work: Awaitable[T]) -> T:
    """Return what *work* returns; if we are cancelled meanwhile, be so only when it has ended."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            await asyncio.wait({task})
        raise


async def cancelled(*tasks: asyncio.Task[Any]) -> None:
    """Cancel *tasks* and wait for their end; what they would have raised is not wanted any more."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def first_error() -> Iterator[None]:
    """Raise the first error of a task group as it is; the others are in its chain."""
    try:
        yield
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures


@contextmanager
def not_cancelled_by_others(error: type[Exception]) -> Iterator[None]:
    """
    Raise *error* instead of a cancellation that nobody asked of this task.

    A library that ends may cancel what others wait for. Let through, that ends the waiting task
    without a word: a task group takes it for one that was told to.
    """
    try:
        yield
    except asyncio.CancelledError as stray:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise error("what was waited for was cancelled") from stray
