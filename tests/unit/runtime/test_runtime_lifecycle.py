"""Workers get their grace, a crash ends all, and what may wait for ever is given up. No clock."""

import asyncio
import os
import signal

import pytest

from shared.runtime import lifecycle
from shared.runtime.lifecycle import EarlyExitError, supervise, unless_stopped

pytestmark = [pytest.mark.asyncio(loop_scope="function"), pytest.mark.looptime]


async def deaf(_: asyncio.Event) -> None:
    await asyncio.Event().wait()


async def obedient(stop: asyncio.Event) -> None:
    await stop.wait()


async def test_a_worker_gets_its_grace_then_is_cancelled(looptime: float) -> None:
    stop, seen = asyncio.Event(), []

    async def polite(stop: asyncio.Event) -> None:
        await stop.wait()
        await asyncio.sleep(3)
        seen.append("polite finished")

    asyncio.get_running_loop().call_later(60, stop.set)
    await supervise({"polite": polite, "deaf": deaf}, stop=stop, grace=10)

    assert seen == ["polite finished"]
    assert looptime == 70


async def test_nobody_waits_longer_than_the_workers_need(looptime: float) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(5, stop.set)

    await supervise({"a": obedient, "b": obedient}, stop=stop, grace=10)

    assert looptime == 5


async def test_a_crash_cancels_the_others_and_propagates(looptime: float) -> None:
    async def crashing(_: asyncio.Event) -> None:
        await asyncio.sleep(7)
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as raised:
        await supervise({"crashing": crashing, "deaf": deaf}, stop=asyncio.Event(), grace=10)

    assert raised.group_contains(ZeroDivisionError)
    assert looptime == 7


async def test_a_crash_while_stopping_is_not_lost() -> None:
    stop = asyncio.Event()

    async def crashing(stop: asyncio.Event) -> None:
        await stop.wait()
        raise ZeroDivisionError

    stop.set()
    with pytest.raises(ExceptionGroup) as raised:
        await supervise({"crashing": crashing}, stop=stop, grace=10)
    assert raised.group_contains(ZeroDivisionError)


async def test_a_worker_that_ends_by_itself_is_a_crash() -> None:
    async def early(_: asyncio.Event) -> None:
        await asyncio.sleep(1)

    with pytest.raises(ExceptionGroup) as raised:
        await supervise({"early": early, "deaf": deaf}, stop=asyncio.Event(), grace=10)
    assert raised.group_contains(EarlyExitError, match="'early'")


async def test_without_workers_it_waits_for_the_stop(looptime: float) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(5, stop.set)

    await supervise({}, stop=stop, grace=10)

    assert looptime == 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_sets_the_event_and_does_nothing_else(number: int) -> None:
    with lifecycle.stop_on_signals() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        await stop.wait()


async def test_what_waits_for_ever_is_given_up_at_the_stop(looptime: float) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(5, stop.set)

    async with unless_stopped(stop):
        await asyncio.Event().wait()

    assert looptime == 5


async def test_what_ends_before_the_stop_is_left_alone(looptime: float) -> None:
    stop = asyncio.Event()

    async with unless_stopped(stop):
        await asyncio.sleep(3)
    stop.set()
    await asyncio.sleep(1)

    assert looptime == 4


async def test_a_stop_at_the_very_end_of_the_block_disturbs_nobody() -> None:
    stop = asyncio.Event()

    async with unless_stopped(stop):
        stop.set()
    await asyncio.sleep(1)


async def test_a_timeout_of_the_block_itself_is_not_hidden() -> None:
    with pytest.raises(ExceptionGroup) as raised:
        async with unless_stopped(asyncio.Event()):
            raise TimeoutError("of the block")
    assert raised.group_contains(TimeoutError, match="of the block")


async def test_a_cancellation_from_outside_goes_through() -> None:
    async def waits() -> None:
        async with unless_stopped(asyncio.Event()):
            await asyncio.Event().wait()

    task = asyncio.create_task(waits())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
