"""When a window closes, in virtual time."""

import asyncio

import pytest

from shared.bus.port import Window
from shared.bus.window import Gathering
from shared.contract import (
    Draft,
    Envelope,
    ImageSpec,
    Message,
    PollRequested,
    SyncRequested,
    UpdateRequested,
)

pytestmark = [pytest.mark.asyncio(loop_scope="function"), pytest.mark.looptime]

ORDER = UpdateRequested(repository="r", spec=ImageSpec(workloads=("<all>",), image="a:1"))
ASIDE, AGAIN = SyncRequested(sync="s"), PollRequested(repository="r", reason="again")


def reason(envelope: Envelope) -> str:
    return str(getattr(envelope.message, "reason", ""))


WINDOW = Window(
    quiet=1.0,
    max_wait=5.0,
    at_once=(UpdateRequested,),
    aside=(SyncRequested,),
    longer=lambda some: 3.0 if any(reason(one) == "again" for one in some) else 0.0,
)


def poll() -> PollRequested:
    return PollRequested(repository="r")


async def closed_after(window: Window | None, *comes: tuple[float, Message]) -> float:
    """Return when a window closes to which messages come at these times; the first opens it."""
    loop, pending = asyncio.get_running_loop(), list[Envelope]()
    gathering, begin = Gathering(window), loop.time()

    def come(message: Message) -> None:
        envelope = Draft(message=message).sealed("/test")
        pending.append(envelope)
        gathering.touch(envelope)

    come(comes[0][1])
    for when, message in comes[1:]:
        loop.call_later(when, come, message)
    await gathering.wait_closed(lambda: pending, asyncio.Event())
    return round(loop.time() - begin, 6)


@pytest.mark.parametrize(
    ("comes", "closes"),
    [
        ([(0, poll())], 1.0),
        ([(0, poll()), (0.5, poll()), (1.2, poll())], 2.2),
        ([(0, poll()), *[(n / 2, poll()) for n in range(1, 20)]], 5.0),
        ([(0, ORDER)], 0.0),
        ([(0, poll()), (0.3, ORDER)], 0.3),
        ([(0, ASIDE)], 0.0),
        ([(0, poll()), (0.9, ASIDE)], 1.0),
        ([(0, AGAIN)], 3.0),
        ([(0, poll()), (0.5, AGAIN), (1.5, poll())], 4.5),
        ([(0, AGAIN), (2.5, poll())], 5.0),
        ([(0, AGAIN), (2.0, ORDER)], 2.0),
    ],
)
async def test_a_window_closes_when_it_is_quiet_and_nothing_more_is_on_its_way(
    comes: list[tuple[float, Message]], closes: float
) -> None:
    assert await closed_after(WINDOW, *comes) == closes


async def test_without_a_window_nothing_is_gathered() -> None:
    assert await closed_after(None, (0, poll())) == 0.0
