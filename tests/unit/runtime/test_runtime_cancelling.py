"""A cancellation that nobody asked of a task is an error; one that somebody did is none."""

import asyncio

import pytest

from shared.runtime.tasks import not_cancelled_by_others, to_its_end


async def wait(future: asyncio.Future[None]) -> None:
    with not_cancelled_by_others(ConnectionError):
        await future


async def test_what_a_library_cancels_is_an_error_for_who_waits() -> None:
    future = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(wait(future))
    await asyncio.sleep(0)
    future.cancel()
    with pytest.raises(ConnectionError):
        await task


async def test_a_task_that_is_cancelled_ends_so() -> None:
    task = asyncio.create_task(wait(asyncio.get_running_loop().create_future()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_a_deadline_that_passes_is_still_a_timeout() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await wait(asyncio.get_running_loop().create_future())


async def test_what_is_done_to_its_end_has_ended_before_its_cancellation_is_told() -> None:
    begun, may_end, ended = asyncio.Event(), asyncio.Event(), []

    async def work() -> None:
        begun.set()
        await may_end.wait()
        ended.append("work")

    task = asyncio.create_task(to_its_end(work()))
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["work"]
