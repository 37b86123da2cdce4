"""How long orders wait for a dependency: in order, ten minutes at most. Virtual time."""

import asyncio
from collections.abc import Sequence

import pytest

from shared.bus.memory import MemoryBroker
from shared.bus.names import LOG
from shared.bus.port import Outcome
from shared.bus.settle import PATIENCE
from shared.contract import Envelope, OrderCompleted, OrderRejected
from shared.contract.codec import decode
from shared.runtime.errors import TemporaryError
from tests.contract.test_bus import order, working

pytestmark = [pytest.mark.asyncio(loop_scope="function"), pytest.mark.looptime]


class Dependency:
    """A handler that can do nothing until its dependency is back."""

    def __init__(self) -> None:
        self.back_at = float("inf")
        self.done: list[str] = []

    async def __call__(self, _: str, messages: Sequence[Envelope]) -> Outcome:
        if asyncio.get_running_loop().time() < self.back_at:
            raise TemporaryError("git host git.example.com", "connection refused")
        self.done += [one.id for one in messages]
        return Outcome()


async def ends_after(seconds: float, dependency: Dependency) -> list[tuple[type, str, str]]:
    """Give two orders; return how each has ended after so long: what, which, and why."""
    broker = MemoryBroker()
    async with broker.connect("/test") as bus, working(bus, "repo-writer", dependency):
        first, second = order("first"), order("second")
        for draft, name in ((first, "1"), (second, "2")):
            await bus.publish(type(draft)(message=draft.message, id=name))
        await asyncio.sleep(seconds)
        told = [decode(one.headers, one.body).message for one in broker.streams[LOG].packets]
    return [
        (type(one), one.order, getattr(one, "reason", ""))
        for one in told
        if isinstance(one, OrderCompleted | OrderRejected)
    ]


async def test_orders_wait_ten_minutes_and_are_rejected_in_order() -> None:
    dependency = Dependency()
    assert await ends_after(PATIENCE - 60, dependency) == []
    found = await ends_after(PATIENCE + 60, dependency)
    assert [(kind, one) for kind, one, _ in found] == [(OrderRejected, "1"), (OrderRejected, "2")]
    assert all("connection refused; given up after 10 minutes" in why for *_, why in found)


async def test_orders_are_carried_out_in_order_when_the_dependency_is_back() -> None:
    dependency = Dependency()
    dependency.back_at = PATIENCE - 60
    found = await ends_after(PATIENCE + 60, dependency)
    assert [(kind, one) for kind, one, _ in found] == [(OrderCompleted, "1"), (OrderCompleted, "2")]
    assert dependency.done == ["1", "2"]
