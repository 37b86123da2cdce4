"""
The sandbox's broker is private, survives what tests do to it, and leaves nothing behind.

Where RabbitMQ is not installed and Docker runs, all of it is about the container instead.
"""

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path

import aio_pika
import aiohttp
import pytest
from yarl import URL

from sandbox import broker, proctree
from sandbox.broker import Broker, rabbitmq
from sandbox.errors import SandboxError
from sandbox.progress import silent

pytestmark = pytest.mark.rabbit


@pytest.fixture(autouse=True)
def _no_given_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AMQP_URL", "RABBITMQ_MANAGEMENT_URL"):
        monkeypatch.delenv(name, raising=False)


async def test_two_side_by_side_that_go_without_a_trace(tmp_path: Path) -> None:
    before = proctree.descendants(os.getpid())
    async with AsyncExitStack() as stack:
        one, two = await asyncio.gather(
            *(stack.enter_async_context(rabbitmq(tmp_path / n, say=silent)) for n in ("a", "b"))
        )
        family = proctree.descendants(os.getpid()) - before
        assert family or "the image" in one.how  # a container is no child of ours
        assert one.amqp_url != two.amqp_url
        await _publish(one, "only-here")
        assert await _queues(one) == ["only-here"]
        assert await _queues(two) == []
        assert await _status(one.prometheus_url) == 200
    assert not [process for process in family if proctree.is_alive(process)]
    assert await _is_gone(one)
    assert await _is_gone(two)


async def test_a_killed_broker_is_back_with_what_it_confirmed(tmp_path: Path) -> None:
    async with rabbitmq(tmp_path, say=silent) as it:
        await _publish(it, "kept")

        await it.kill()
        assert await _is_gone(it)
        await it.start()

        assert await _take(it, "kept") == b"hello"


async def test_a_given_broker_is_taken_and_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMQP_URL", "amqp://me:p%40ss@broker.example:5673/")
    async with rabbitmq(Path("/nonexistent"), say=silent) as it:
        assert (it.username, it.password) == ("me", "p@ss")
        assert it.management_url == "http://broker.example:15672"
        with pytest.raises(SandboxError, match="not ours to stop"):
            await it.kill()


async def test_without_any_way_to_a_broker_all_four_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SandboxError) as caught:
        await broker._install(silent)
    for way in ("AMQP_URL", "apt-get install rabbitmq-server", "Docker", "root"):
        assert way in str(caught.value)


async def _is_gone(it: Broker) -> bool:
    # Not by aio-pika: what it leaves of a refused connection may be collected in a thread, where
    # it looks for an event loop in vain.
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", URL(it.amqp_url).port)
    except ConnectionError:
        return True
    writer.close()
    return False


async def _publish(it: Broker, queue: str) -> None:
    async with await aio_pika.connect(it.amqp_url) as connection:
        channel = await connection.channel()
        await channel.declare_queue(queue, durable=True)
        lasting = aio_pika.Message(b"hello", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(lasting, queue)


async def _take(it: Broker, name: str) -> bytes:
    async with await aio_pika.connect(it.amqp_url) as connection:
        channel = await connection.channel()
        message = await (await channel.get_queue(name)).get(timeout=10)
        return message.body


async def _queues(it: Broker) -> list[str]:
    login = {"Authorization": aiohttp.encode_basic_auth(it.username, it.password)}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{it.management_url}/api/queues", headers=login) as answer,
    ):
        return [queue["name"] for queue in await answer.json()]


async def _status(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status
