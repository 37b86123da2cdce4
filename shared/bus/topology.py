"""
Declares everything on RabbitMQ, once, with an administrator's credentials.

Services declare nothing: they look whether what they need is there and say what is missing.
`python -m shared.bus.topology --config flux.yaml` is run before the services start, and again
whenever syncs are added; it changes nothing that is right. What is declared stands in `layout`.
"""

import argparse
import asyncio
import sys
from pathlib import Path
from urllib.parse import quote

import aio_pika
import aiohttp
import structlog
from aio_pika.abc import AbstractChannel
from yarl import URL

from shared.bus.layout import Policy, Topology, topology
from shared.bus.rabbit_link import BROKEN, nodes
from shared.config import secrets
from shared.config.load import ConfigError, load
from shared.config.model import Config
from shared.runtime import log
from shared.runtime.errors import PermanentError
from shared.runtime.masking import Masking, without_userinfo

logger = structlog.get_logger(__name__)


async def declare(wanted: Topology, *, amqp_url: str, management_url: str | None) -> None:
    """
    Declare *wanted*; what is there already with the same arguments stays as it is.

    Policies (limits) go by the management API; without *management_url* they are left out, and
    that is said.
    """
    connection = await aio_pika.connect(nodes(amqp_url)[0])
    async with connection, connection.channel() as channel:
        await _declare(channel, wanted)
    logger.info("topology declared", queues=len(wanted.queues), bindings=len(wanted.bindings))
    if management_url is None:
        logger.warning("no broker.management_url, so no limits are set on queues and streams")
        return
    await _set_policies(wanted.policies, nodes(amqp_url)[0], management_url)


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


async def _declare_for(config: Config) -> None:
    mask = Masking(secrets.known)
    log.configure(
        level=config.log.level, form=config.log.format, mask=mask, service="topology", replica=""
    )
    wanted = topology((sync.target, sync.name) for sync in config.syncs)
    broker = config.broker
    await declare(wanted, amqp_url=broker.url.read(), management_url=broker.management_url)


def main() -> int:
    """Declare what `flux.yaml` needs: 0 if it is there now, 2 for mistakes in the file."""
    parser = argparse.ArgumentParser(prog="python -m shared.bus.topology", description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("flux.yaml"), help="default: flux.yaml")
    path = parser.parse_args().config
    try:
        asyncio.run(_declare_for(load(path)))
    except (ConfigError, PermanentError) as error:
        return _say(f"nothing was declared:\n{error}", 2)
    except (*BROKEN, aiohttp.ClientError) as error:
        reason = without_userinfo(str(error) or type(error).__name__)
        return _say(f"the broker refuses, or is not there: {reason}; try again", 1)
    return 0


def _say(sentence: str, code: int) -> int:
    print(sentence, file=sys.stderr)  # noqa: T201 - a terminal's
    return code


if __name__ == "__main__":
    sys.exit(main())
