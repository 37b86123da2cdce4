"""Declares a topology on RabbitMQ, with an administrator's credentials."""

from urllib.parse import quote

import aio_pika
import aiohttp
import structlog
from aio_pika.abc import AbstractChannel
from yarl import URL

from shared.bus.topology import Policy, Topology

logger = structlog.get_logger(__name__)


async def declare(wanted: Topology, *, amqp_url: str, management_url: str | None) -> None:
    """
    Declare *wanted*; what is there already with the same arguments stays as it is.

    Policies (limits) go by the management API; without *management_url* they are left out, and
    that is said.
    """
    connection = await aio_pika.connect(amqp_url)
    async with connection, connection.channel() as channel:
        await _declare(channel, wanted)
    logger.info("topology declared", queues=len(wanted.queues), bindings=len(wanted.bindings))
    if management_url is None:
        logger.warning("no broker.management_url, so no limits are set on queues and streams")
        return
    await _set_policies(wanted.policies, URL(amqp_url), management_url)


async def _declare(channel: AbstractChannel, wanted: Topology) -> None:
    for name, kind in wanted.exchanges.items():
        await channel.declare_exchange(name, kind, durable=True)
    queues = {
        queue.name: await channel.declare_queue(
            queue.name, durable=True, arguments=dict(queue.arguments)
        )
        for queue in wanted.queues
    }
    for binding in wanted.bindings:
        await queues[binding.queue].bind(binding.exchange, binding.key)


async def _set_policies(policies: tuple[Policy, ...], amqp: URL, management_url: str) -> None:
    credentials = aiohttp.encode_basic_auth(amqp.user or "guest", amqp.password or "guest")
    vhost = quote(amqp.path.removeprefix("/") or "/", safe="")
    async with aiohttp.ClientSession(headers={"Authorization": credentials}) as session:
        for policy in policies:
            url = URL(f"{management_url.rstrip('/')}/api/policies/{vhost}/", encoded=True)
            body = {
                "pattern": policy.pattern,
                "definition": dict(policy.definition),
                "apply-to": "queues",
            }
            async with session.put(url / policy.name, json=body) as answer:
                answer.raise_for_status()
    logger.info("limits set", policies=[policy.name for policy in policies])
