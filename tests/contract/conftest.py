"""The two brokers that the contract suite runs on."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from sandbox.broker import Broker, rabbitmq
from tests.contract.brokers import BrokerUnderTest, Memory, declared_on

Node = Callable[[], Awaitable[Broker]]


@pytest.fixture(scope="session")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    """A broker that starts when it is first asked for: the suite in memory needs none."""
    started: list[Broker] = []
    async with AsyncExitStack() as stack:

        async def get() -> Broker:
            if not started:
                directory = tmp_path_factory.mktemp("broker")
                started.append(await stack.enter_async_context(rabbitmq(directory)))
            return started[0]

        yield get


@pytest.fixture(params=["memory", pytest.param("rabbit", marks=pytest.mark.rabbit)])
async def broker(request: pytest.FixtureRequest, node: Node) -> AsyncIterator[BrokerUnderTest]:
    if request.param == "memory":
        yield Memory()
        return
    async with declared_on(await node()) as rabbit:
        yield rabbit
